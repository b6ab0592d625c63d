/** People: clients that are killed, sessions that are ended or cancelled, and a DBA who looks, orders and rearranges. */
import type { QueryResultRow } from 'pg'
import { until } from '../../support/wait'
import { NODES } from '../tables'
import type { Hit, Kind } from './kind'

/** A DBA who gets no answer asks again, for a while: the coordinator is starting, or no sidecar runs just now. */
const patiently = (ask: (hit: Hit) => Promise<boolean | void>) => async (hit: Hit) => {
    const answer = await until('the DBA has an answer', () => ask(hit).then((found) => ({ found })), { timeoutMs: 5000, everyMs: 250 })
    return answer.found
}

/** What a DBA asks has to be answered or refused in time, whatever is down. */
async function asDba<R extends QueryResultRow>(
    { ground }: Pick<Hit, 'ground'>,
    sql: string,
    params: readonly unknown[] = []
): Promise<R[]> {
    const client = await ground.cluster('a').connect(ground.world.login('dba'))
    try {
        await client.query("set statement_timeout = '8s'")
        return (await client.query<R>(sql, [...params])).rows
    } finally {
        await client.end()
    }
}

const LOOKS = [
    'select * from pglobalxact.sets()',
    'select * from pglobalxact.branches()',
    'select * from pglobalxact.nodes()',
    'select * from pglobalxact.prepared()',
    'select * from pglobalxact.status()',
    'select * from pglobalxact.requests()',
    'select * from pglobalxact.state_lines()',
    'select * from pglobalxact.history(max_rows => 50)',
    'select * from pglobalxact.doctor()'
]

interface OpenSet {
    readonly set_id: string
    readonly outcome: string
}

const openSets = async (hit: Hit): Promise<readonly OpenSet[]> =>
    (await asDba<OpenSet & QueryResultRow>(hit, 'select set_id, outcome from pglobalxact.sets()')).filter(({ set_id }) =>
        /^\d+_/.test(set_id)
    )

/** Never against a decision: a set in progress is told to roll back, which ends its session first. */
async function force(hit: Hit): Promise<boolean> {
    const sets = (await openSets(hit)).filter(({ outcome }) => ['committed', 'rolled back', 'in progress'].includes(outcome))
    const chosen = sets[hit.roll % Math.max(sets.length, 1)]
    if (chosen === undefined) return false
    hit.ground.forced.add(chosen.set_id)
    const action = chosen.outcome === 'committed' ? 'commit' : 'rollback'
    await asDba(hit, `select * from pglobalxact.force_${action}($1, reason => 'chaos', confirm => 'yes')`, [chosen.set_id])
    return true
}

async function retry(hit: Hit): Promise<boolean> {
    const sets = (await openSets(hit)).filter(({ outcome }) => outcome === 'committed')
    const chosen = sets[hit.roll % Math.max(sets.length, 1)]
    if (chosen === undefined) return false
    await asDba(hit, 'select * from pglobalxact.retry($1)', [chosen.set_id])
    return true
}

/** Of the load's sessions on a server, the one that the plan's number falls on. */
const oneSession =
    (act: 'terminate' | 'cancel') =>
    async ({ ground, on, roll }: Hit) => {
        const rows = await ground.cluster(on).query(
            `select pg_${act}_backend(pid) from pg_stat_activity where datname = $1 and usename in ('app', 'node_app', 'node_sidecar', 'pglobalxact')
         order by md5(pid::text || $2) limit 1`,
            [ground.world.database, String(roll)]
        )
        return rows.length > 0
    }

export const resume = async (hit: Pick<Hit, 'ground'>): Promise<void> => void (await asDba(hit, 'select pglobalxact.resume()'))
export const addNode = async (hit: Pick<Hit, 'ground' | 'on'>): Promise<void> =>
    void (await asDba(hit, 'select * from pglobalxact.add_node($1)', [hit.on]))

/** Other faults go on meanwhile, and the node has to answer for once. */
const PATIENTLY = { timeoutMs: 10_000, everyMs: 50 }

/** It is refused as long as branches wait for the node, and under load some always do: so a DBA pauses for that moment. */
async function removeNode(hit: Hit): Promise<void> {
    const paused = (): Promise<boolean> => asDba(hit, "select pglobalxact.pause('chaos: a node is removed')").then(() => true)
    await until('sets are paused', paused, PATIENTLY)
    const removed = (): Promise<boolean> => asDba(hit, 'select pglobalxact.remove_node($1)', [hit.on]).then(() => true)
    await until('the node is removed', removed, PATIENTLY).finally(() => until('sets may begin', () => resume(hit).then(() => true)))
}

const SERVERS = ['a', ...NODES]

export const PEOPLE_KINDS: readonly Kind[] = [
    { name: 'session ended', on: SERVERS, resource: 'sessions', lasts: [0, 0], weight: 3, strike: oneSession('terminate') },
    { name: 'session cancelled', on: SERVERS, resource: 'sessions', lasts: [0, 0], weight: 2, strike: oneSession('cancel') },
    {
        name: 'client killed',
        on: ['clients'],
        resource: 'sessions',
        lasts: [0, 0],
        weight: 3,
        strike: async ({ clients, roll }) => clients[roll % clients.length]!.kill()
    },
    {
        name: 'DBA looks',
        on: ['a'],
        resource: 'dba',
        lasts: [0, 0],
        weight: 2,
        strike: patiently(async (hit) => void (await asDba(hit, LOOKS[hit.roll % LOOKS.length]!)))
    },
    {
        name: 'recover()',
        on: ['a'],
        resource: 'dba',
        lasts: [0, 0],
        strike: patiently(async (hit) => void (await asDba(hit, 'select * from pglobalxact.recover()')))
    },
    { name: 'retry()', on: ['a'], resource: 'dba', lasts: [0, 0], strike: patiently(retry) },
    { name: 'force_commit or force_rollback', on: ['a'], resource: 'dba', lasts: [0, 0], weight: 2, strike: patiently(force) },
    {
        name: 'pause() and resume()',
        on: ['a'],
        resource: 'pause',
        lasts: [200, 1000],
        strike: patiently(async (hit) => void (await asDba(hit, "select pglobalxact.pause('chaos')"))),
        heal: resume
    },
    {
        name: 'node removed and added',
        on: NODES,
        resource: 'membership',
        also: 'pause',
        lasts: [300, 1500],
        strike: removeNode,
        heal: addNode
    }
]
