/** What a server says when it refuses something: the parts of its error that a user reads and a program tests. */
import { expect } from 'chai'
import { DatabaseError, type Client } from 'pg'
import type { World } from './world'

export interface Refusal {
    /** SQLSTATE, or several with | between them. */
    readonly code: string
    readonly message: RegExp
    /** null: there must be none. */
    readonly hint?: RegExp | null
    readonly detail?: RegExp
}

/** Asserts that the statement fails with this very error, and returns it. */
export async function refused(statement: Promise<unknown>, expected: Refusal): Promise<DatabaseError> {
    const error = await statement.then(
        () => undefined,
        (reason: unknown) => reason
    )
    if (error === undefined) throw new Error(`expected an error like ${String(expected.message)}, but the statement succeeded`)
    if (!(error instanceof DatabaseError)) throw error
    const { code, message, hint, detail } = error
    const said = JSON.stringify({ code, message, hint, detail }, null, 2)
    expect(expected.code.split('|'), said).to.include(code)
    expect(message, said).to.match(expected.message)
    if (expected.hint === null) expect(hint, said).to.equal(undefined)
    else if (expected.hint) expect(hint ?? '', said).to.match(expected.hint)
    if (expected.detail) expect(detail ?? '', said).to.match(expected.detail)
    return error
}

/** Every account back to 1000: where each test starts. */
export async function fillAccounts(world: World): Promise<void> {
    const fill = 'update account set balance = 1000 where balance <> 1000'
    await Promise.all([world.sql(fill), ...[...world.nodes.keys()].map((name) => world.node(name, fill))])
}

/** Rows of one query on a session that stays open. */
export async function rows<R extends Record<string, unknown>>(client: Client, text: string, params: readonly unknown[] = []): Promise<R[]> {
    return (await client.query<R>(text, [...params])).rows
}

/** The first column of the first row. */
export async function value(client: Client, text: string, params: readonly unknown[] = []): Promise<unknown> {
    const { rows: found } = await client.query<unknown[]>({ text, values: [...params], rowMode: 'array' })
    return found[0]?.[0]
}
