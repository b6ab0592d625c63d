import { randomBytes } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { migrate } from 'postgres-migrations'
import { applyCode, runFile } from './applycode'
import type { Config } from './config'
import { coordinatorConnection } from './connection'
import { preflight } from './preflight'
import { Refusal } from './refusal'
import { nodeSql, SQL_DIRECTORY } from './sqlfiles'
import { messageOf, property } from './sqlstate'

type Say = (line: string) => void

const MIGRATIONS = join(SQL_DIRECTORY, 'migrations')
const INSTALL_LOCK = 0x70677836 // as in sql/internal/_lock_key.sql
const SAME_ROW = ['23505', '42710', 'XX000'] // unique_violation, duplicate_object, "tuple concurrently updated"

/** What the schema must be at for this code. */
export const NEWEST_MIGRATION = Math.max(...readdirSync(MIGRATIONS).map((name) => Number.parseInt(name, 10)))

/** Installs or upgrades schema pglobalxact. Idempotent; two at once take turns. Changes nothing when something is missing. */
export async function install(config: Config, say: Say): Promise<void> {
    await withDatabase(config, async (client, schema) => {
        // Our own warnings only: PostgreSQL's about grants that PUBLIC has anyway would be noise.
        client.on('notice', ({ code, message, hint }) => code === '01000' && say(`warning: ${message ?? ''}. ${hint ?? ''}`))
        await preflight(client)
        await silence(client)
        await again(() => runFile(client, 'setup/roles.sql'))
        await createDblink(client, schema)
        const dblink = await dblinkSchema(client)
        await again(() => runFile(client, 'setup/schema.sql', { 'extschema:dblink': dblink }))
        await client.query("select set_config('role', 'pglobalxact', false), set_config('search_path', 'pglobalxact', false)")
        await checkVersion(client)
        await migrate({ client }, MIGRATIONS)
        await client.query("select set_config('role', 'none', false), set_config('search_path', 'pg_catalog', false)")
        const loopback = await createLoopback(client)
        await client.query("select set_config('role', 'pglobalxact', false)")
        const { rows } = await client.query<{ id: string; name: string }>(
            'select id, current_database() as name from pglobalxact.coordinator'
        )
        await applyCode(client, {
            coordinator: rows[0]!.id,
            'extschema:dblink': dblink,
            loopback_role: loopback,
            'node:prepared': nodeSql('prepared'),
            'node:waits': nodeSql('waits')
        })
        await client.query("select set_config('role', 'none', false)")
        say(`pglobalxact is installed in database "${rows[0]!.name}" as coordinator ${rows[0]!.id}.`)
        say(
            'Next: start the sidecar (npx pglobalxact run --state-dir DIR), then make foreign servers nodes with pglobalxact.add_node(server).'
        )
    })
}

/** Removes the schema. Refused while sets are unfinished: their branches would be left to nobody. */
export async function uninstall(config: Config, say: Say): Promise<void> {
    await withDatabase(config, async (client) => {
        const { rows } = await client.query<{ there: boolean }>("select to_regclass('pglobalxact.coordinator') is not null as there")
        if (!rows[0]!.there) return say('pglobalxact is not installed in this database.')
        const open = await client.query<{ sets: string | null }>(
            "select string_agg(distinct set_id, ', ') as sets from pglobalxact.open_branch"
        )
        if (open.rows[0]!.sets !== null) {
            throw new Refusal(
                `sets are not finished: ${open.rows[0]!.sets}`,
                'See: select * from pglobalxact.sets(); let the sidecar finish them, or decide them with force_commit, force_rollback or acknowledge.'
            )
        }
        const watched = await client.query<{ nodes: string | null }>(
            "select string_agg(n.name, ', ' order by n.name) as nodes from pglobalxact.watch w join pglobalxact.node n on n.number = w.node"
        )
        if (watched.rows[0]!.nodes !== null) {
            throw new Refusal(
                `nodes are watched: ${watched.rows[0]!.nodes}`,
                'Their slots would keep WAL for ever: select pglobalxact.unwatch_node(…) for each, while the sidecar runs.'
            )
        }
        const sidecar = await client.query<{ running: boolean }>('select exists (select from pglobalxact._sidecar_pid()) as running')
        if (sidecar.rows[0]!.running) throw new Refusal('the sidecar of this database is still running', 'Stop it first.')
        const role = await client.query<{ revoke: string; drop: string }>(
            "select format('revoke all on database %I from %I', current_database(), r.rolname) as revoke, format('drop role %I', r.rolname) as drop from pglobalxact.coordinator c join pg_roles r on r.rolname = 'pglobalxact_loopback_' || c.id"
        )
        const dblink = await dblinkSchema(client)
        await client.query('begin')
        await client.query('drop schema pglobalxact cascade')
        await client.query('drop server if exists pglobalxact_loopback cascade')
        for (const { revoke, drop } of role.rows) await client.query(`${revoke}; ${drop}`)
        await runFile(client, 'setup/dblink.sql', { who: 'pglobalxact, pglobalxact_user' })
        await client.query(
            `revoke usage on schema ${dblink} from pglobalxact, pglobalxact_user; revoke execute on function ${dblink}.dblink_connect_u(text, text) from pglobalxact`
        )
        await client.query('commit')
        say(
            'pglobalxact is removed. Its four roles are left, as other databases of this cluster may use them; so are dblink and the foreign servers.'
        )
    })
}

/** `schema`: where the installing role creates what is not ours. */
async function withDatabase(config: Config, work: (client: Client, schema: string) => Promise<void>): Promise<void> {
    const client = new Client({ ...coordinatorConnection(config), application_name: 'pglobalxact install' })
    client.on('error', () => undefined)
    try {
        await client.connect()
    } catch (error) {
        throw new Refusal(
            `cannot connect to the database: ${messageOf(error)}`,
            'Give it by --database-url, DATABASE_URL or the PG* variables.'
        )
    }
    try {
        const schema = await pinSearchPath(client)
        await client.query("select set_config('lock_timeout', '60s', false)")
        await client.query('select pg_advisory_lock($1, 0)', [INSTALL_LOCK])
        await work(client, schema)
    } finally {
        await client.end().catch(() => undefined)
    }
}

/** Often a superuser's session, in a database where anyone may create functions and operators: none of theirs is to be found. */
async function pinSearchPath(client: Client): Promise<string> {
    const { rows } = await client.query<{ schema: string }>(
        "select pg_catalog.quote_ident(coalesce(pg_catalog.current_schema()::pg_catalog.text, 'public')) as schema"
    )
    await client.query("select pg_catalog.set_config('search_path', 'pg_catalog', false)")
    return rows[0]!.schema
}

/** Statements that carry the loopback's password must not reach the server's log. A role that may not say so goes on. */
async function silence(client: Client): Promise<void> {
    for (const [setting, value] of [
        ['log_statement', 'none'],
        ['log_min_duration_statement', '-1'],
        ['log_min_duration_sample', '-1'],
        ['log_transaction_sample_rate', '0'],
        ['log_min_error_statement', 'panic']
    ]) {
        await client.query('select set_config($1, $2, false)', [setting, value]).catch(() => undefined)
    }
}

/** Roles and grants of roles are the cluster's: an install into another database may be writing the same ones. */
async function again(work: () => Promise<void>): Promise<void> {
    for (let tries = 1; ; tries++) {
        try {
            return await work()
        } catch (error) {
            if (tries === 5 || !SAME_ROW.includes(property(error, 'code') ?? '')) throw error
            await new Promise((done) => setTimeout(done, 100))
        }
    }
}

async function checkVersion(client: Client): Promise<void> {
    const { rows } = await client.query<{ newest: number | null }>('select max(id) as newest from pglobalxact.migrations')
    const found = rows[0]!.newest ?? 0
    if (found > NEWEST_MIGRATION) {
        throw new Refusal(
            `schema pglobalxact is at version ${found}, newer than this code (${NEWEST_MIGRATION})`,
            'Install with the version of pglobalxact that made it, or a later one.'
        )
    }
}

/**
 * Its connections belong to the session, not to the role that opened them: whoever may call its functions can use those of a
 * SECURITY DEFINER function that he has just called. So made here, it is for no one but pglobalxact_user. One that was
 * there before may be in others' use, and is left as it is.
 */
async function createDblink(client: Client, schema: string): Promise<void> {
    const { rows } = await client.query<{ there: boolean }>("select exists (select from pg_extension where extname = 'dblink') as there")
    if (rows[0]!.there) return
    await client.query(`create extension if not exists dblink schema ${schema}`)
    await runFile(client, 'setup/dblink.sql', { who: 'public' })
}

async function dblinkSchema(client: Client): Promise<string> {
    const { rows } = await client.query<{ name: string }>(
        "select quote_ident(n.nspname) as name from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'dblink'"
    )
    return rows[0]!.name
}

/**
 * The loopback: a foreign server for this very database, and a login of its own that can do nothing but enter requests
 * and wait for them. The password is made here, kept in the user mapping, and known to nobody.
 */
async function createLoopback(client: Client): Promise<string> {
    const { rows } = await client.query<{ statements: string[]; role: string }>(
        readFileSync(join(SQL_DIRECTORY, 'setup', 'loopback.sql'), 'utf8'),
        [randomBytes(24).toString('base64url')]
    )
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
