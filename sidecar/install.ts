import { randomBytes } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Client } from 'pg'
import { migrate } from 'postgres-migrations'
import type { Config } from './config'
import { coordinatorConnection } from './connection'
import { Refusal } from './refusal'
import { SQL_DIRECTORY } from './sqlfiles'
import { messageOf, property } from './sqlstate'

type Say = (line: string) => void

const MIGRATIONS = join(SQL_DIRECTORY, 'migrations')
/** Applied in this order; within a directory a file that needs a later one is tried again after it. */
const CODE = ['internal', 'views', 'sidecar', 'functions'] as const
const INSTALL_LOCK = 0x70677836 // as in sql/internal/_lock_key.sql
const OLDEST_SERVER = 140000

/** What the schema must be at for this code. */
export const NEWEST_MIGRATION = Math.max(...readdirSync(MIGRATIONS).map((name) => Number.parseInt(name, 10)))

/** Installs or upgrades schema pglobalxact. Idempotent; two at once take turns. Changes nothing when something is missing. */
export async function install(config: Config, say: Say): Promise<void> {
    await withDatabase(config, async (client) => {
        await preflight(client)
        await silence(client)
        await runFile(client, 'setup/roles.sql')
        await client.query('create extension if not exists dblink')
        const dblink = await dblinkSchema(client)
        await runFile(client, 'setup/schema.sql', { 'extschema:dblink': dblink })
        await client.query("select set_config('role', 'pglobalxact', false), set_config('search_path', 'pglobalxact', false)")
        await checkVersion(client)
        await migrate({ client }, MIGRATIONS)
        await client.query("select set_config('role', 'none', false), set_config('search_path', 'pg_catalog', false)")
        const loopback = await createLoopback(client)
        await client.query("select set_config('role', 'pglobalxact', false)")
        await applyCode(client, { 'extschema:dblink': dblink, loopback_role: loopback })
        await client.query("select set_config('role', 'none', false)")
        const { rows } = await client.query<{ id: string; name: string }>('select id, current_database() as name from pglobalxact.coordinator')
        say(`pglobalxact is installed in database "${rows[0]!.name}" as coordinator ${rows[0]!.id}.`)
        say('Next: start the sidecar (npx pglobalxact run --state-dir DIR), then make foreign servers nodes with pglobalxact.add_node(server).')
    })
}

/** Removes the schema. Refused while sets are unfinished: their branches would be left to nobody. */
export async function uninstall(config: Config, say: Say): Promise<void> {
    await withDatabase(config, async (client) => {
        const { rows } = await client.query<{ there: boolean }>("select to_regclass('pglobalxact.coordinator') is not null as there")
        if (!rows[0]!.there) return say('pglobalxact is not installed in this database.')
        const open = await client.query<{ sets: string | null }>("select string_agg(distinct set_id, ', ') as sets from pglobalxact.open_branch")
        if (open.rows[0]!.sets !== null) {
            throw new Refusal(`sets are not finished: ${open.rows[0]!.sets}`,
                'See: select * from pglobalxact.sets(); let the sidecar finish them, or decide them with force_commit, force_rollback or acknowledge.')
        }
        const sidecar = await client.query<{ running: boolean }>('select exists (select from pglobalxact._sidecar_pid()) as running')
        if (sidecar.rows[0]!.running) throw new Refusal('the sidecar of this database is still running', 'Stop it first.')
        const role = await client.query<{ drop: string }>("select format('drop role if exists %I', 'pglobalxact_loopback_' || id) as drop from pglobalxact.coordinator")
        await client.query('begin')
        await client.query('drop schema pglobalxact cascade')
        await client.query('drop server if exists pglobalxact_loopback cascade')
        await client.query(role.rows[0]!.drop)
        await client.query('commit')
        say('pglobalxact is removed. Its four roles are left, as other databases of this cluster may use them; so are dblink and the foreign servers.')
    })
}

async function withDatabase(config: Config, work: (client: Client) => Promise<void>): Promise<void> {
    const client = new Client({ ...coordinatorConnection(config), application_name: 'pglobalxact install' })
    client.on('error', () => undefined)
    try {
        await client.connect()
    } catch (error) {
        throw new Refusal(`cannot connect to the database: ${messageOf(error)}`, 'Give it by --database-url, DATABASE_URL or the PG* variables.')
    }
    try {
        await client.query("select set_config('lock_timeout', '60s', false)")
        await client.query('select pg_advisory_lock($1, 0)', [INSTALL_LOCK])
        await work(client)
    } finally {
        await client.end().catch(() => undefined)
    }
}

/** Says everything that is missing at once, and what a superuser would type. */
async function preflight(client: Client): Promise<void> {
    const { rows } = await client.query<Facts>(readFileSync(join(SQL_DIRECTORY, 'setup', 'preflight.sql'), 'utf8'))
    const facts = rows[0]!
    if (facts.version < OLDEST_SERVER) throw new Refusal(`this server is PostgreSQL ${facts.version_name}`, 'PostgreSQL 14 or later is needed.')
    if (facts.standby) throw new Refusal('this server is a standby', 'Install on the primary.')
    const missing = [
        ...(facts.dblink_available ? [] : ['the contrib extension dblink is not installed on this server: install its package (postgresql-contrib)']),
        ...(facts.dblink_installed || facts.superuser ? [] : [`as superuser, in this database: CREATE EXTENSION dblink; GRANT EXECUTE ON FUNCTION dblink_connect_u(text, text) TO "${facts.role}" WITH GRANT OPTION;`]),
        ...(!facts.dblink_installed || facts.connect_u ? [] : [`as superuser, in this database: GRANT EXECUTE ON FUNCTION ${facts.dblink_schema}.dblink_connect_u(text, text) TO "${facts.role}" WITH GRANT OPTION;`]),
        ...(facts.foreign_data_wrapper || !facts.dblink_installed ? [] : [`as superuser, in this database: GRANT USAGE ON FOREIGN DATA WRAPPER dblink_fdw TO "${facts.role}" WITH GRANT OPTION;`]),
        ...(facts.roles_missing === null || facts.create_role ? [] : [`as a role with CREATEROLE: ALTER ROLE "${facts.role}" CREATEROLE; (missing roles: ${facts.roles_missing})`]),
        ...(facts.create_schema ? [] : [`as the database's owner: GRANT CREATE ON DATABASE "${facts.database}" TO "${facts.role}";`])
    ]
    if (missing.length > 0) {
        throw new Refusal(`role "${facts.role}" cannot install pglobalxact here, nothing was changed`, `Needed first:\n    ${missing.join('\n    ')}`)
    }
}

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
    readonly create_schema: boolean
}

/** Statements that carry the loopback's password must not reach the server's log. A role that may not say so goes on. */
async function silence(client: Client): Promise<void> {
    for (const [setting, value] of [['log_statement', 'none'], ['log_min_duration_statement', '-1'], ['log_min_error_statement', 'panic']]) {
        await client.query('select set_config($1, $2, false)', [setting, value]).catch(() => undefined)
    }
}

async function checkVersion(client: Client): Promise<void> {
    const { rows } = await client.query<{ newest: number | null }>('select max(id) as newest from pglobalxact.migrations')
    const found = rows[0]!.newest ?? 0
    if (found > NEWEST_MIGRATION) {
        throw new Refusal(`schema pglobalxact is at version ${found}, newer than this code (${NEWEST_MIGRATION})`, 'Install with the version of pglobalxact that made it, or a later one.')
    }
}

async function dblinkSchema(client: Client): Promise<string> {
    const { rows } = await client.query<{ name: string }>("select quote_ident(n.nspname) as name from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'dblink'")
    return rows[0]!.name
}

/**
 * The loopback: a foreign server for this very database, and a login of its own that can do nothing but enter requests
 * and wait for them. The password is made here, kept in the user mapping, and known to nobody.
 */
async function createLoopback(client: Client): Promise<string> {
    const { rows } = await client.query<{ statements: string[]; role: string }>(
        readFileSync(join(SQL_DIRECTORY, 'setup', 'loopback.sql'), 'utf8'), [randomBytes(24).toString('base64url')])
    const { statements, role } = rows[0]!
    await client.query('begin')
    for (const statement of statements) {
        await client.query(statement).catch((error: unknown) => {
            // The statement holds the password: the error must not.
            throw Object.assign(new Error(`cannot set up the loopback: ${messageOf(error)}`), { hint: property(error, 'hint') })
        })
    }
    await client.query('commit')
    return role
}

/** Functions and views, all in one transaction: nobody ever sees half of them. */
async function applyCode(client: Client, words: Readonly<Record<string, string>>): Promise<void> {
    await client.query("begin; set local check_function_bodies = off; set local client_min_messages = warning")
    await dropRetired(client)
    let pending = CODE.flatMap((directory) => readdirSync(join(SQL_DIRECTORY, directory)).sort().map((name) => `${directory}/${name}`))
    while (pending.length > 0) {
        const failed: { readonly path: string; readonly error: unknown }[] = []
        for (const path of pending) {
            await client.query('savepoint file')
            try {
                await applyFile(client, path, words)
            } catch (error) {
                await client.query('rollback to file')
                failed.push({ path, error })
            }
        }
        if (failed.length === pending.length) {
            throw Object.assign(new Error(`${failed[0]!.path}: ${messageOf(failed[0]!.error)}`), { hint: property(failed[0]!.error, 'hint') })
        }
        pending = failed.map(({ path }) => path)
    }
    await client.query('commit')
}

/** A function whose result or parameters changed cannot be replaced: it is dropped first (refused if a user's object depends on it). */
async function applyFile(client: Client, path: string, words: Readonly<Record<string, string>>): Promise<void> {
    await client.query('savepoint replace')
    try {
        await runFile(client, path, words)
    } catch (error) {
        if (property(error, 'code') !== '42P13' && property(error, 'code') !== '42P16') throw error
        await client.query('rollback to replace')
        await dropNamed(client, basename(path, '.sql'))
        await runFile(client, path, words)
    }
}

async function dropNamed(client: Client, name: string): Promise<void> {
    const { rows } = await client.query<{ statement: string }>("select format('drop %s %s', case p.prokind when 'p' then 'procedure' else 'function' end, p.oid::regprocedure) as statement from pg_proc p where p.pronamespace = 'pglobalxact'::regnamespace and p.proname = $1 union all select format('drop view %s', c.oid::regclass) from pg_class c where c.relnamespace = 'pglobalxact'::regnamespace and c.relname = $1 and c.relkind = 'v'", [name])
    for (const { statement } of rows) await client.query(statement)
}

/** Functions that this version has no file for are an earlier version's. */
async function dropRetired(client: Client): Promise<void> {
    const known = CODE.flatMap((directory) => readdirSync(join(SQL_DIRECTORY, directory)).map((name) => basename(name, '.sql')))
    const { rows } = await client.query<{ name: string }>("select distinct p.proname as name from pg_proc p where p.pronamespace = 'pglobalxact'::regnamespace and p.proname <> all ($1)", [known])
    for (const { name } of rows) await dropNamed(client, name)
}

async function runFile(client: Client, path: string, words: Readonly<Record<string, string>> = {}): Promise<void> {
    const text = readFileSync(join(SQL_DIRECTORY, path), 'utf8')
    await client.query(text.replace(/@([a-z_:]+)@/g, (whole, word: string) => words[word] ?? whole))
}
