/**
 * What a set leaves on every server it touches, in one statement: money moved, a counter raised, and a line in a list that a
 * row lock keeps in order. The line names the set by a tag of the client's, so what became of it can be read on each server
 * alone, whatever pglobalxact says.
 */
import type { World } from '../support/world'

export const POTS = 60
export const TRACKS = 40
export const OPENING = 100_000

/** The servers that may take part: the coordinator always does. */
export const NODES = ['b', 'c', 'd'] as const
export type NodeName = (typeof NODES)[number]
const GROUPS = 2 ** NODES.length - 1

/** A group of nodes, one bit each. */
export const groupOf = (nodes: readonly string[]): number => NODES.reduce((bits, name, n) => bits | (nodes.includes(name) ? 1 << n : 0), 0)

/** Each group of nodes has its own counters, ten of them so that not every set waits for every other. */
export const counterOf = (nodes: readonly string[], track: number): number => groupOf(nodes) * 10 + (track % 10)

export interface Step {
    readonly tag: string
    readonly track: number
    readonly counter: number
    readonly pot: number
    readonly amount: number
}

/** What one server was left with. */
export interface Entry {
    readonly tag: string
    readonly track: number
    /** Position in the list of its track. */
    readonly n: number
    readonly counter: number
    readonly pot: number
    readonly amount: number
}

const schema = (owner: string): string => `
    create table pot (id int primary key, balance bigint not null);
    create table counter (id int primary key, value bigint not null);
    create table track (id int primary key, n bigint not null);
    create table entry (tag text constraint entry_tag_once primary key, track int not null, n bigint not null, counter int not null, pot int not null, amount bigint not null,
                        constraint entry_order unique (track, n));
    insert into pot select i, ${OPENING} from generate_series(1, ${POTS}) i;
    insert into counter select i, 0 from generate_series(10, ${GROUPS * 10 + 9}) i;
    insert into track select i, 0 from generate_series(1, ${TRACKS}) i;
    grant all on pot, counter, track, entry to ${owner}`

export async function createTables(world: World): Promise<void> {
    await Promise.all([world.sql(schema('app')), ...NODES.map((name) => world.node(name, schema('node_app')))])
}

/** Numbers and a tag of our own making: nothing to escape. */
export const stepSql = ({ tag, track, counter, pot, amount }: Step): string =>
    `with place as (update track set n = n + 1 where id = ${track} returning n), counted as (update counter set value = value + 1 where id = ${counter}),
          moved as (update pot set balance = balance + ${amount} where id = ${pot})
     insert into entry select '${tag}', ${track}, n, ${counter}, ${pot}, ${amount} from place`

/** A server's own account of itself. */
export interface Book {
    readonly server: string
    readonly entries: readonly Entry[]
    readonly pots: ReadonlyMap<number, number>
    readonly counters: ReadonlyMap<number, number>
    readonly tracks: ReadonlyMap<number, number>
}

export async function readBook(world: World, server: 'a' | NodeName): Promise<Book> {
    const ask = <R extends Record<string, unknown>>(sql: string): Promise<R[]> =>
        server === 'a' ? world.sql<R>(sql) : world.node<R>(server, sql)
    const numbers = async (table: string, column: string): Promise<ReadonlyMap<number, number>> =>
        new Map((await ask<{ id: number; v: number }>(`select id, ${column}::float8 as v from ${table}`)).map(({ id, v }) => [id, v]))
    const entries = await ask<Entry & Record<string, unknown>>(
        'select tag, track, n::float8 as n, counter, pot, amount::float8 as amount from entry order by track, n'
    )
    return {
        server,
        entries,
        pots: await numbers('pot', 'balance'),
        counters: await numbers('counter', 'value'),
        tracks: await numbers('track', 'n')
    }
}
