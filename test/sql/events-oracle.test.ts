import { expect } from 'chai'
import type { Client } from 'pg'
import { addRow } from '../sidecar/common'
import { rows } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'

const SEED = Number(process.env['PGLOBALXACT_FUZZ_SEED'] ?? Date.now() % 1_000_000_007)
const WRITERS = 5
const EACH = 80
const SETS = 12

/** Numbers from 0 to 1, the same for the same seed. */
function dice(seed: number): () => number {
    let state = seed >>> 0
    return () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0
        return state / 2 ** 32
    }
}

interface Seen extends Record<string, unknown> {
    readonly batch: string
    readonly what: string
    readonly set_id: string | null
    readonly detail: string
}

/** What an event is known by, whoever tells of it. Those of the test have a detail each. */
const keyOf = ({ what, set_id, node, detail }: Record<string, unknown>): string => [what, set_id, node, detail].join('|')

describe(`events under load (PGLOBALXACT_FUZZ_SEED=${SEED})`, () => {
    let world: World
    before(async () => {
        world = await World.create({ name: 'oracle' })
        await world.sql('create table done (key text not null, batch bigint not null); grant all on done to watcher; grant watcher to dba')
        for (const name of ['one by one', 'two sessions']) await world.admin("select pglobalxact.add_consumer($1, 'watcher')", [name])
    })
    after(() => world?.destroy())

    const ownSession = (): Promise<Client> => world.coordinator.connect({ database: world.database })

    /** Transactions with a row each, some in savepoints, some undone, some rolled back; returns the keys of those that stand. */
    async function write(writer: number): Promise<string[]> {
        const roll = dice(SEED + writer)
        const client = await ownSession()
        const kept: string[] = []
        const put = (key: string): Promise<unknown> =>
            client.query("insert into pglobalxact.event (kind, set_id, detail) values ('test', 'oracle', $1)", [key])
        for (let i = 0; i < EACH; i++) {
            const [key, undone, commits] = [`${writer}/${i}`, roll() < 0.2, roll() < 0.8]
            await client.query('begin')
            if (roll() < 0.5) await client.query('savepoint s')
            await put(key)
            if (undone) {
                await client.query('savepoint t')
                await put(`${key} undone`)
                await client.query('rollback to t')
            }
            if (roll() < 0.3) await client.query('select pg_sleep($1)', [roll() / 100])
            await client.query(commits ? 'commit' : 'rollback')
            if (commits) kept.push(key)
        }
        await client.end()
        return kept
    }

    /** A transaction that is open nearly all the time, and then another. */
    async function writeLong(writer: number, others: Promise<unknown>): Promise<string[]> {
        const client = await ownSession()
        const kept: string[] = []
        let over = false
        void others.finally(() => (over = true))
        for (let i = 0; !over; i++) {
            const key = `long ${writer}/${i}`
            await client.query("begin; insert into pglobalxact.event (kind, set_id, detail) values ('test', 'oracle', '" + key + "')")
            await client.query('select pg_sleep($1)', [0.15 * writer])
            await client.query('commit')
            kept.push(key)
        }
        await client.end()
        return kept
    }

    async function runSets(): Promise<string[]> {
        const app = await world.connect()
        const ids: string[] = []
        for (let i = 0; i < SETS; i++) ids.push(await addRow(world, app))
        return ids
    }

    /** Takes a batch and finishes it by its number; or dies before, and takes it again. */
    async function readOneByOne(over: () => boolean): Promise<string[]> {
        const roll = dice(SEED + 100)
        const client = await world.connect('watcher')
        const keys: string[] = []
        for (;;) {
            const last = over()
            const batch = await rows<Seen>(client, "select * from pglobalxact.next_events('one by one', 5)")
            if (batch.length === 0 && last) return keys
            if (batch.length === 0 || roll() < 0.3) continue
            await client.query("select pglobalxact.finish_events('one by one', $1)", [batch[0]!.batch])
            keys.push(...batch.map(keyOf))
        }
    }

    /** Its own work and the end of the batch in one transaction, in competition with another session. */
    async function readAndWork(session: number, over: () => boolean): Promise<void> {
        const roll = dice(SEED + 200 + session)
        const client = await world.connect('watcher')
        for (;;) {
            const last = over()
            await client.query('begin')
            const batch = await rows<Seen>(client, "select * from pglobalxact.next_events('two sessions')")
            for (const event of batch) await client.query('insert into done values ($1, $2)', [keyOf(event), event.batch])
            await client.query("select pglobalxact.finish_events('two sessions')")
            const dies = roll() < 0.3
            await client.query(dies ? 'rollback' : 'commit')
            if (batch.length === 0 && last && !dies) return
        }
    }

    /** Places in the middle where a batch may end. */
    async function tick(over: () => boolean): Promise<void> {
        const client = await ownSession()
        while (!over()) {
            await client.query(
                'insert into pglobalxact.tick select s.last_value, pglobalxact._present(), clock_timestamp() from pglobalxact.set_number s on conflict do nothing'
            )
            await client.query('select pg_sleep(0.02)')
        }
        await client.end()
    }

    it('reach every consumer once each, whatever commits late, is undone, or dies with a batch in its hands', async () => {
        const busy = Promise.all([
            ...Array.from({ length: WRITERS }, (_, writer) => write(writer)),
            runSets().then(() => []),
            runSets().then(() => [])
        ])
        const long = Promise.all([1, 2, 3].map((writer) => writeLong(writer, busy)))
        let over = false
        const everything = Promise.all([busy, long]).then(async ([some, more]) => {
            await until(
                'every set is complete',
                async () => (await world.sql('select from pglobalxact.commit_record where complete_at is null')).length === 0
            )
            // The history of the sidecar's own doings is an event too: from here on it has nothing to tell.
            await world.sidecar!.stop()
            over = true
            return [...some, ...more].flat()
        })
        const readers = Promise.all([readOneByOne(() => over), readAndWork(1, () => over), readAndWork(2, () => over), tick(() => over)])
        const [kept, [first]] = await Promise.all([everything, readers])
        const second = (await world.sql<{ key: string }>('select key from done')).map(({ key }) => key)
        // All there is, read without any snapshot; in the order of nothing.
        const all = await world.sql(`
            select 'registered' as what, r.xid || '_' || r.nonce as set_id, null as node, concat_ws(', ', r.application_name, 'from ' || host(r.client_addr)) as detail
            from pglobalxact.commit_record r
            union all select 'decided', r.xid || '_' || r.nonce, null, 'commit' from pglobalxact.commit_record r
            union all select 'prepared', b.xid || '_' || b.nonce, n.name, '' from pglobalxact.branch_record b join pglobalxact.node n on n.number = b.node
            union all select 'finished', r.xid || '_' || r.nonce, null, r.outcome from pglobalxact.commit_record r
            union all select f.kind, f.set_id, n.name, f.detail from pglobalxact.set_event f left join pglobalxact.node n on n.number = f.node where f.kind <> 'finished'
            union all select e.kind, e.set_id, n.name, e.detail from pglobalxact.event e left join pglobalxact.node n on n.number = e.node`)
        // What the sidecar tells of itself and of nodes began before there were consumers.
        const relevant = (keys: readonly string[]): string[] => keys.filter((key) => !/^(sidecar|node)/.test(key)).sort()
        const told = relevant(all.map(keyOf))
        expect(told.filter((key) => key.startsWith('test|'))).to.have.lengthOf(kept.length)
        expect(told.filter((key) => key.startsWith('finished|'))).to.have.lengthOf(2 * SETS)
        expect(relevant(first), 'by batch number').to.deep.equal(told)
        expect(relevant(second), 'in one transaction').to.deep.equal(told)
    })
})
