import { expect } from 'chai'
import type { Client } from 'pg'
import { addRow } from '../sidecar/common'
import { refused, rows, value } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'

interface Event extends Record<string, unknown> {
    readonly batch: string
    readonly what: string
    readonly set_id: string | null
    readonly node: string | null
    readonly number: string | null
    readonly detail: string
    readonly xid: string
}

const NEXT = 'select * from pglobalxact.next_events($1)'

describe('events for consumers', () => {
    let world: World
    let reader: Client
    let consumers = 0

    before(async () => {
        world = await World.create({ name: 'events' })
        reader = await world.connect('watcher')
    })
    after(async () => {
        // A database in which a branch is still prepared cannot be dropped.
        await world?.settled()
        await world?.destroy()
    })

    /** A new one, which watcher may read. */
    async function consumer(): Promise<string> {
        const name = `reader ${++consumers}`
        await world.admin("select pglobalxact.add_consumer($1, 'watcher')", [name])
        return name
    }
    const next = (name: string, client = reader): Promise<Event[]> => rows<Event>(client, NEXT, [name])
    const finish = (name: string, batch?: string): Promise<unknown> =>
        reader.query('select pglobalxact.finish_events($1, $2)', [name, batch])

    /** Reads and finishes until the events asked for are there; returns all that were read. */
    async function readUntil(name: string, there: (seen: readonly Event[]) => boolean): Promise<Event[]> {
        const seen: Event[] = []
        await until('the events are there', async () => {
            const batch = await next(name)
            if (batch.length > 0) await finish(name, batch[0]!.batch)
            seen.push(...batch)
            return there(seen)
        })
        return seen
    }
    const finished =
        (ids: readonly string[]) =>
        (seen: readonly Event[]): boolean =>
            ids.every((id) => seen.some(({ set_id, what }) => set_id === id && what === 'finished'))
    const brief = (events: readonly Event[], id: string): string[] =>
        events.filter(({ set_id }) => set_id === id).map(({ what, node, detail }) => [what, node, detail].join('|'))

    it("tell of a set's life in its order, from begun to finished", async () => {
        const name = await consumer()
        const id = await addRow(world, await world.connect())
        const events = await readUntil(name, finished([id]))
        expect(brief(events, id)).to.deep.equal([
            'registered||test, from 127.0.0.1',
            'prepared|b|',
            'prepared|c|',
            'decided||commit',
            'finished||committed'
        ])
        const decided = events.find(({ set_id, what }) => set_id === id && what === 'decided')!
        expect(decided.number).to.equal(await value(reader, 'select pglobalxact.set_number($1)', [id]))
        expect(events.filter(({ number }) => number !== null && number !== decided.number)).to.deep.equal([])
        expect(decided.xid).to.equal(id.split('_')[0])
    })

    it('tell that a set is finished which only read', async () => {
        const name = await consumer()
        const app = await world.connect()
        await app.query("begin; select * from pglobalxact.query('b', 'select 1') as t (n integer)")
        const id = String(await value(app, 'select pglobalxact.set_id()'))
        await app.query('commit')
        expect(brief(await readUntil(name, finished([id])), id)).to.deep.equal([
            'registered||test, from 127.0.0.1',
            'decided||commit',
            'finished||committed'
        ])
    })

    it('tell nothing of a set that was rolled back, but what recovery did', async () => {
        const name = await consumer()
        const app = await world.connect()
        const node = await world.nodes.get('c')!.connect({ database: world.database, user: 'node_app', password: 'node-app-secret-6' })
        await app.query('begin')
        const [{ gid, id }] = (await rows<{ gid: string; id: string }>(
            app,
            "select pglobalxact.enlist('c') as gid, pglobalxact.set_id() as id"
        )) as [{ gid: string; id: string }]
        await node.query(`begin; insert into account values (900001, 0); prepare transaction '${gid}'`)
        await node.end()
        await app.query('rollback')
        const events = await readUntil(name, (seen) => seen.some(({ set_id }) => set_id === id))
        expect(brief(events, id)).to.deep.equal(['rolled back by recovery|c|its local transaction did not commit'])
    })

    it('are the same until the batch is finished, whoever asks, and then never again', async () => {
        const name = await consumer()
        const id = await addRow(world, await world.connect())
        const first = await until('it has events', async () => (await next(name)).length > 0 && next(name))
        await addRow(world, await world.connect())
        const other = await world.connect('watcher')
        expect(await next(name, other)).to.deep.equal(first)
        // Taken and finished in a transaction that is rolled back: nothing has happened.
        await reader.query('begin')
        expect(await next(name)).to.deep.equal(first)
        await finish(name)
        await reader.query('rollback')
        expect(await next(name)).to.deep.equal(first)
        const { batch } = first[0]!
        await other.query('select pglobalxact.finish_events($1, $2)', [name, batch])
        await refused(finish(name, batch), {
            code: '55000',
            message: /^batch 1 of consumer "reader \d+" is not out$/,
            hint: /^ROLLBACK/,
            detail: /finished before/
        })
        await refused(finish(name, '7'), { code: '55000', message: /not out/, detail: /never taken/ })
        const later = await readUntil(name, (seen) => seen.filter(({ what }) => what === 'finished').length >= 1)
        expect(later.some((event) => event.set_id === id && event.what === 'registered')).to.equal(false)
        expect(Number(later[0]!.batch)).to.be.greaterThan(Number(batch))
    })

    it('cannot be taken by two sessions of a consumer: the second waits, and gets what is next', async () => {
        const name = await consumer()
        const id = await addRow(world, await world.connect())
        const other = await world.connect('watcher')
        await reader.query('begin')
        const mine = await until('it is finished', async () => {
            const batch = await next(name)
            if (finished([id])(batch)) return batch
            await reader.query('rollback; begin')
            return false
        })
        const pid = (other as unknown as { processID: number }).processID
        const theirs = next(name, other)
        await until(
            'the other waits',
            async () => (await world.sql("select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'", [pid])).length === 1
        )
        await finish(name)
        await reader.query('commit')
        const keys = new Set(mine.map((event) => JSON.stringify({ ...event, batch: '' })))
        for (const event of await theirs) expect(keys.has(JSON.stringify({ ...event, batch: '' }))).to.equal(false)
    })

    it('finish only what this very transaction took, unless the batch is named', async () => {
        const name = await consumer()
        await addRow(world, await world.connect())
        await until('it has events', async () => (await next(name)).length > 0)
        await refused(finish(name), { code: '55000', message: /^this transaction has not taken a batch/, hint: /number of the batch/ })
    })

    it('of a set in the very transaction that reads come with a later batch', async () => {
        const name = await consumer()
        const app = await world.connect()
        await world.sql('grant pglobalxact_monitor, watcher to app')
        try {
            await app.query('begin')
            // It has an xid, and others that are later have committed.
            await app.query("select pglobalxact.exec('b', 'update account set balance = balance')")
            const id = String(await value(app, 'select pglobalxact.set_id()'))
            for (let i = 0; i < 3; i++) await world.sql("insert into pglobalxact.event (kind, detail) values ('test', 'later')")
            const batch = await next(name, app)
            expect(batch.filter(({ what }) => what === 'test')).to.have.lengthOf(3)
            expect(batch.filter(({ set_id }) => set_id === id)).to.deep.equal([])
            await app.query('select pglobalxact.finish_events($1)', [name])
            await app.query('commit')
            expect(brief(await readUntil(name, finished([id])), id).map((line) => line.split('|')[0])).to.deep.equal([
                'registered',
                'prepared',
                'decided',
                'finished'
            ])
        } finally {
            await world.sql('revoke pglobalxact_monitor, watcher from app')
        }
    })

    it('begin with the transactions that begin after the consumer was added', async () => {
        const early = await world.coordinator.connect({ database: world.database })
        const late = await world.coordinator.connect({ database: world.database })
        try {
            const xid = String(await value(early, 'begin').then(() => value(early, 'select pg_current_xact_id()::text')))
            const name = await consumer()
            await late.query("begin; insert into pglobalxact.event (kind, detail) values ('test', 'late')")
            await early.query("insert into pglobalxact.event (kind, detail) values ('test', 'early'); commit")
            expect((await next(name)).filter(({ what }) => what === 'test')).to.deep.equal([])
            expect(
                await world.sql('select pg_visible_in_snapshot($2::xid8, position) as seen from pglobalxact.consumer where name = $1', [
                    name,
                    xid
                ])
            ).to.deep.equal([{ seen: true }])
            await late.query('commit')
            const seen = await readUntil(name, (events) => events.some(({ detail }) => detail === 'late'))
            expect(seen.filter(({ what }) => what === 'test').map(({ detail }) => detail)).to.deep.equal(['late'])
        } finally {
            await early.end()
            await late.end()
        }
    })

    it('are hinted at on a channel of their own', async () => {
        await consumer()
        const heard: string[] = []
        reader.on('notification', ({ channel, payload }) => heard.push(`${channel} ${payload ?? ''}`))
        await reader.query('listen pglobalxact_events')
        await addRow(world, await world.connect())
        await until('it is heard', () => heard.length > 0)
        expect(new Set(heard)).to.deep.equal(new Set(['pglobalxact_events ']))
        await reader.query('unlisten *')
        reader.removeAllListeners('notification')
    })

    it('are for the role that the consumer was added for', async () => {
        await world.admin("select pglobalxact.add_consumer('of dba')")
        await refused(next('of dba'), { code: '42501', message: /^consumer "of dba" is for role "dba" to read$/ })
        await refused(next('nobody'), { code: '42704', message: /^consumer "nobody" does not exist$/, hint: /add_consumer\('nobody'\)/ })
        await refused(world.admin("select pglobalxact.add_consumer('of dba')"), { code: '42710', message: /is there already/ })
        await refused(world.admin("select pglobalxact.add_consumer('x', 'no such role')"), {
            code: '42704',
            message: /^role "no such role"/
        })
        await refused(world.admin("select pglobalxact.add_consumer('x', keep => '0')"), { code: '22023', message: /needs a name/ })
        await refused(world.admin("select * from pglobalxact.next_events('of dba', 0)"), { code: '22023', message: /room for one/ })
        expect(
            await world.admin("select consumer, role, state, batch, holds_back from pglobalxact.consumers() where consumer = 'of dba'")
        ).to.deep.equal([{ consumer: 'of dba', role: 'dba', state: 'waiting', batch: '0', holds_back: null }])
        await world.admin("select pglobalxact.remove_consumer('of dba')")
        await refused(world.admin("select pglobalxact.remove_consumer('of dba')"), { code: '42704', message: /does not exist/ })
    })

    it('can be read between two snapshots by those who keep their own place', async () => {
        const place = (): Promise<string> => value(reader, 'select pg_current_snapshot()::text').then(String)
        const between = (after: string, upto: string | null = null): Promise<Event[]> =>
            rows<Event>(reader, 'select * from pglobalxact.events($1, $2)', [after, upto])
        const start = await place()
        const id = await addRow(world, await world.connect())
        const middle = await place()
        await until('it is finished', async () => finished([id])(await between(start)))
        const end = await place()
        const whats = (events: readonly Event[]): string[] => events.filter(({ set_id }) => set_id === id).map(({ what }) => what)
        expect([...whats(await between(start, middle)), ...whats(await between(middle, end))]).to.deep.equal([
            'registered',
            'prepared',
            'prepared',
            'decided',
            'finished'
        ])
        expect(await between(end, end)).to.deep.equal([])
        await refused(between(end, start), { code: '22023', message: /does not lie before/ })
        await refused(between(start, '999999999:999999999:'), { code: '22023', message: /cannot see/ })
        await refused(between(null as unknown as string), { code: '22023', message: /does not lie before/ })
        await reader.query('begin isolation level repeatable read; select 1')
        await world.sql("insert into pglobalxact.event (kind, detail) values ('test', 'unseen')")
        const unseen = (await world.sql<{ now: string }>('select pg_current_snapshot()::text as now'))[0]!.now
        await refused(between(end, unseen), { code: '22023', message: /cannot see/ })
        await reader.query('rollback')
        await world.sql('update pglobalxact.coordinator set events_purged_to = pg_current_xact_id()')
        await refused(between(start), { code: '55000', message: /no longer kept/ })
        await world.sql("update pglobalxact.coordinator set events_purged_to = '0'")
    })
})
