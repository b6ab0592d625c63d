import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from 'pg'
import { Refusal } from './refusal'
import { SQL_DIRECTORY } from './sqlfiles'

const OLDEST_SERVER = 140000

/** One row of sql/setup/preflight.sql. */
interface Facts {
    readonly role: string
    readonly superuser: boolean
    readonly database: string
    readonly version: number
    readonly version_name: string
    readonly standby: boolean
    readonly dblink_available: boolean
    readonly dblink_installed: boolean
    readonly dblink_schema: string | null
    readonly connect_u: boolean
    readonly foreign_data_wrapper: boolean
    readonly roles_missing: string | null
    readonly create_role: boolean
    readonly becomes_owner: boolean
    readonly loopback_owner: string | null
    readonly loopback_role: string | null
    readonly create_schema: boolean
}

/** Says everything that is missing at once, and what a superuser would type. */
export async function preflight(client: Client): Promise<void> {
    const { rows } = await client.query<Facts>(readFileSync(join(SQL_DIRECTORY, 'setup', 'preflight.sql'), 'utf8'))
    const facts = rows[0]!
    if (facts.version < OLDEST_SERVER)
        throw new Refusal(`this server is PostgreSQL ${facts.version_name}`, 'PostgreSQL 14 or later is needed.')
    if (facts.standby) throw new Refusal('this server is a standby', 'Install on the primary.')
    const missing = [
        ...(facts.dblink_available
            ? []
            : ['the contrib extension dblink is not installed on this server: install its package (postgresql-contrib)']),
        ...(facts.dblink_installed || facts.superuser
            ? []
            : [
                  `as superuser, in this database: CREATE EXTENSION dblink; GRANT EXECUTE ON FUNCTION dblink_connect_u(text, text) TO "${facts.role}" WITH GRANT OPTION; GRANT USAGE ON FOREIGN DATA WRAPPER dblink_fdw TO "${facts.role}" WITH GRANT OPTION;`
              ]),
        ...(!facts.dblink_installed || facts.connect_u
            ? []
            : [
                  `as superuser, in this database: GRANT EXECUTE ON FUNCTION ${facts.dblink_schema}.dblink_connect_u(text, text) TO "${facts.role}" WITH GRANT OPTION;`
              ]),
        ...(facts.foreign_data_wrapper || !facts.dblink_installed
            ? []
            : [`as superuser, in this database: GRANT USAGE ON FOREIGN DATA WRAPPER dblink_fdw TO "${facts.role}" WITH GRANT OPTION;`]),
        // Even where the four roles exist: each database has a login of its own for the loopback.
        ...(facts.create_role
            ? []
            : [
                  `as superuser: ALTER ROLE "${facts.role}" CREATEROLE;${facts.roles_missing === null ? '' : ` (missing roles: ${facts.roles_missing})`}`
              ]),
        ...(facts.becomes_owner ? [] : [`as superuser: GRANT pglobalxact TO "${facts.role}" WITH ADMIN OPTION;`]),
        ...(facts.loopback_role === null ? [] : [`as superuser: GRANT "${facts.loopback_role}" TO "${facts.role}" WITH ADMIN OPTION;`]),
        ...(facts.loopback_owner === null
            ? []
            : [
                  `as superuser, in this database: ALTER SERVER pglobalxact_loopback OWNER TO "${facts.role}"; (or install as role "${facts.loopback_owner}")`
              ]),
        ...(facts.create_schema ? [] : [`as the database's owner: GRANT CREATE ON DATABASE "${facts.database}" TO "${facts.role}";`])
    ]
    if (missing.length > 0) {
        throw new Refusal(
            `role "${facts.role}" cannot install pglobalxact here, nothing was changed`,
            `Needed first:\n    ${missing.join('\n    ')}`
        )
    }
}
