/** The code in the schema: its functions and views, made again at every install. */
import { readFileSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Client } from 'pg'
import { SQL_DIRECTORY } from './sqlfiles'
import { messageOf, property } from './sqlstate'

/** Applied in this order; within a directory a file that needs a later one is tried again after it. */
const CODE = ['internal', 'views', 'sidecar', 'functions'] as const

const ROUTINES =
    "select format('drop %s %s', case p.prokind when 'p' then 'procedure' else 'function' end, p.oid::regprocedure) as statement from pg_proc p where p.pronamespace = 'pglobalxact'::regnamespace"
const VIEWS =
    "select format('drop view %s', c.oid::regclass) as statement from pg_class c where c.relnamespace = 'pglobalxact'::regnamespace and c.relkind = 'v'"

/** Functions and views, all in one transaction: nobody ever sees half of them. */
export async function applyCode(client: Client, words: Readonly<Record<string, string>>): Promise<void> {
    await client.query('begin; set local check_function_bodies = off; set local client_min_messages = warning')
    const old = await client.query<{ version: string }>(
        "select p.oid::text || p.ctid as version from pg_proc p where p.pronamespace = 'pglobalxact'::regnamespace"
    )
    const versions = old.rows.map(({ version }) => version)
    await dropRetired(client)
    let pending = CODE.flatMap((directory) =>
        readdirSync(join(SQL_DIRECTORY, directory))
            .sort()
            .map((name) => `${directory}/${name}`)
    )
    while (pending.length > 0) {
        const failed: { readonly path: string; readonly error: unknown }[] = []
        for (const path of pending) {
            await client.query('savepoint file')
            try {
                await applyFile(client, path, words)
                await dropOverloads(client, basename(path, '.sql'), versions)
            } catch (error) {
                await client.query('rollback to file')
                failed.push({ path, error })
            }
        }
        if (failed.length === pending.length) {
            throw Object.assign(new Error(`${failed[0]!.path}: ${messageOf(failed[0]!.error)}`), {
                hint: property(failed[0]!.error, 'hint')
            })
        }
        pending = failed.length > 0 ? failed.map(({ path }) => path) : await missingViews(client)
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

/** With other parameters a function is another function: what its file has not replaced is an earlier version's, and could be called for the new one. */
async function dropOverloads(client: Client, name: string, versions: readonly string[]): Promise<void> {
    if (versions.length > 0) await dropAll(client, `${ROUTINES} and p.proname = $1 and p.oid::text || p.ctid = any ($2)`, [name, versions])
}

/** Functions that this version has no file for are an earlier version's. */
async function dropRetired(client: Client): Promise<void> {
    const known = CODE.flatMap((directory) => readdirSync(join(SQL_DIRECTORY, directory)).map((name) => basename(name, '.sql')))
    await dropAll(client, `${ROUTINES} and p.proname <> all ($1)`, [known])
}

const dropNamed = (client: Client, name: string): Promise<void> =>
    dropAll(client, `${ROUTINES} and p.proname = $1 union all ${VIEWS} and c.relname = $1`, [name])

async function dropAll(client: Client, which: string, values: unknown[]): Promise<void> {
    const { rows } = await client.query<{ statement: string }>(which, values)
    for (const { statement } of rows) {
        await client.query('savepoint dropping')
        try {
            await client.query(statement)
        } catch (error) {
            if (property(error, 'code') !== '2BP01') throw error
            await client.query('rollback to dropping')
            // Our own views stand on it, newest last; they are made again. A user's object on it, or on them, is refused.
            const views = await client.query<{ statement: string }>(`${VIEWS} order by c.oid desc`)
            for (const view of views.rows) await client.query(view.statement)
            if (!views.rows.some((view) => view.statement === statement)) await client.query(statement)
        }
    }
}

async function missingViews(client: Client): Promise<string[]> {
    const names = readdirSync(join(SQL_DIRECTORY, 'views'))
    const { rows } = await client.query<{ name: string }>(
        "select n as name from unnest($1::text[]) n where to_regclass('pglobalxact.' || n) is null",
        [names.map((name) => basename(name, '.sql'))]
    )
    return rows.map(({ name }) => `views/${name}.sql`)
}

/** Runs a file of sql/ with the words between @…@ filled in. */
export async function runFile(client: Client, path: string, words: Readonly<Record<string, string>> = {}): Promise<void> {
    const text = readFileSync(join(SQL_DIRECTORY, path), 'utf8')
    await client.query(text.replace(/@([a-z_:]+)@/g, (whole, word: string) => words[word] ?? whole))
}
