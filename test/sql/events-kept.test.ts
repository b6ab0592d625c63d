import { expect } from 'chai'
import type { Client } from 'pg'
import { addRow } from '../sidecar/common'
import { refused, rows, value } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'

interface Plan {
    readonly 'Node Type': string
    readonly 'Relation Name'?: string
    readonly 'Actual Rows': number
    readonly 'Actual Loops': number
    readonly 'Rows Removed by Filter'?: number
    readonly 'Rows Removed by Index Recheck'?: number
    readonly Plans?: readonly Plan[]
}

/** Rows that a plan fetched from a table, used or not. */
function fetched(plan: Plan, table: string): number {
    const own =
        (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0) + (plan['Rows Removed by Index Recheck'] ?? 0)) * plan['Actual Loops']
    return (plan['Relation Name'] === table ? own : 0) + (plan.Plans ?? []).reduce((sum, child) => sum + fetched(child, table), 0)
}

describe('how events are kept', () => {
    let world: World
    let reader: Client

    before(async () => {
        world = await World.create({ name: 'kept' })
        reader = await world.connect('watcher')
    })
    after(() => world?.destroy())

    const add = (name: string, keep = '7 days'): Promise<unknown> =>
        world.admin("select pglobalxact.add_consumer($1, 'watcher', $2)", [name, keep])
    const remove = (name: string): Promise<unknown> => world.admin('select pglobalxact.remove_consumer($1)', [name])
    const next = (name: string, most = 10_000): Promise<Record<string, unknown>[]> =>
        rows(reader, 'select * from pglobalxact.next_events($1, $2)', [name, most])
    /** Reads all there is. */
    async function drain(name: string, most?: number): Promise<Record<string, unknown>[]> {
        const all: Record<string, unknown>[] = []
        for (;;) {
            const batch = await next(name, most)
            if (batch.length === 0) return all
            all.push(...batch)
            await reader.query('select pglobalxact.finish_events($1, $2)', [name, batch[0]!['batch']])
        }
    }
    const count = (table: string): Promise<number> =>
        world.sql<{ n: number }>(`select count(*)::int as n from pglobalxact.${table}`).then((found) => found[0]!.n)
    /** A set that is complete. */
    async function complete(): Promise<string> {
        const app = await world.connect()
        const id = await addRow(world, app)
        await until(
            'it is complete',
            async () => (await world.sql('select from pglobalxact.commit_record where complete_at is null')).length === 0
        )
        return id
    }
    /** Everything that has happened so far, and every place, is so much older. */
    async function age(by: string): Promise<void> {
        await world.sql(`update pglobalxact.commit_record set complete_at = complete_at - '${by}'::interval`)
        await world.sql(`update pglobalxact.event set at = at - '${by}'::interval`)
        await world.sql(`update pglobalxact.set_event set at = at - '${by}'::interval`)
        await world.sql(
            `update pglobalxact.consumer set position_at = position_at - '${by}'::interval, batch_at = batch_at - '${by}'::interval`
        )
    }
    const purge = (): Promise<unknown> => world.sql('select pglobalxact._purge()')
    const tend = (): Promise<unknown> => world.sql('select pglobalxact._tend_events()')
    const isOn = async (): Promise<unknown> => (await world.sql('select last_value::int as on from pglobalxact.event_switch'))[0]!['on']

    it('costs nothing while there is no consumer: nothing is written, and the switch goes off behind the last', async () => {
        expect(await isOn()).to.equal(0)
        await complete()
        expect(await count('set_event')).to.equal(0)
        await add('first')
        expect(await isOn()).to.equal(1)
        await complete()
        expect(await count('set_event')).to.be.greaterThan(0)
        // One that is being added, and not yet committed, keeps it on.
        await remove('first')
        const dba = await world.connect('dba')
        await dba.query("begin; select pglobalxact.add_consumer('second', 'watcher')")
        await tend()
        expect(await isOn()).to.equal(1)
        await dba.query('rollback')
        await until('it is off', async () => {
            await tend()
            return (await isOn()) === 0
        })
    })

    it('is found in an index range that a long transaction does not widen', async () => {
        const long = await world.coordinator.connect({ database: world.database })
        try {
            const xid = String(await value(long, 'begin').then(() => value(long, 'select pg_current_xact_id()::text')))
            await world.sql(`do $$ begin for i in 1 .. 3000 loop
                insert into pglobalxact.event (kind, detail) values ('test', i); commit; end loop; end $$`)
            await world.sql('analyze pglobalxact.event')
            const place = (): Promise<string> => value(reader, 'select pg_current_snapshot()::text').then(String)
            const after = await place()
            expect(Number(after.split(':')[0]), 'it holds back xmin').to.be.at.most(Number(xid))
            const late = await world.coordinator.connect({ database: world.database })
            await late.query("begin; insert into pglobalxact.event (kind, detail) values ('test', 'late')")
            await world.sql("insert into pglobalxact.event (kind, detail) values ('test', 'new')")
            const between = await place()
            await late.query('commit')
            await late.end()
            await long.query("insert into pglobalxact.event (kind, detail) values ('test', 'long'); commit")
            const upto = await place()
            const explain = async (from: string, to: string): Promise<Plan> => {
                const [row] = await world.sql<{ 'QUERY PLAN': readonly { readonly Plan: Plan }[] }>(
                    `explain (analyze, format json) select * from pglobalxact._events('${from}', '${to}')`
                )
                return row!['QUERY PLAN'][0]!.Plan
            }
            const tests = async (from: string, to: string): Promise<unknown[]> =>
                (await rows(reader, 'select * from pglobalxact.events($1, $2)', [from, to]))
                    .filter(({ what }) => what === 'test')
                    .map(({ detail }) => detail)
            expect(await tests(after, between)).to.deep.equal(['new'])
            expect(await tests(between, upto)).to.deep.equal(['long', 'late'])
            // Of three thousand events behind xmin: those that were asked for, and what else happened meanwhile.
            for (const [from, to] of [
                [after, between],
                [between, upto]
            ] as const) {
                const plan = await explain(from, to)
                expect(fetched(plan, 'event'), JSON.stringify(plan, null, 1)).to.be.within(1, 50)
            }
        } finally {
            await long.end()
        }
    })

    it('comes in batches of a size that can be borne, to a consumer that was away; a tick is where one may end', async () => {
        await add('away')
        await add('at once')
        const ids: string[] = []
        for (let i = 0; i < 4; i++) {
            ids.push(await complete())
            await world.sql(
                'insert into pglobalxact.tick select s.last_value, pglobalxact._present(), clock_timestamp() from pglobalxact.set_number s'
            )
        }
        const ours = ({ set_id }: Record<string, unknown>): boolean => ids.includes(String(set_id))
        const all = (await drain('at once')).filter(ours)
        const small = (await drain('away', 1)).filter(ours)
        const key = ({ what, set_id, node }: Record<string, unknown>): string => [what, set_id, node].join()
        expect(small.map(key)).to.deep.equal(all.map(key))
        expect(new Set(all.map(({ batch }) => batch)).size).to.equal(1)
        expect(new Set(small.map(({ batch }) => batch)).size).to.be.greaterThan(2)
        expect(ids.every((id) => small.filter(({ set_id, what }) => set_id === id && what === 'finished').length === 1)).to.equal(true)
        // The sidecar writes them when there is much to read, and takes them away when it was read.
        await world.sql("select setval('pglobalxact.set_number', (select last_value from pglobalxact.set_number) + 2000)")
        await tend()
        expect(await count('tick')).to.be.greaterThan(0)
        await tend()
        const [ticks] = await world.sql<{ n: number }>(
            'select count(*)::int as n from pglobalxact.tick where number = (select last_value from pglobalxact.set_number)'
        )
        expect(ticks!.n).to.equal(1)
        await drain('at once')
        await drain('away')
        await tend()
        expect(await count('tick')).to.equal(0)
        await remove('away')
        await remove('at once')
    })

    it('waits for a consumer longer than the retention time, but no longer than was agreed', async () => {
        await add('slow', '20 days')
        const id = await complete()
        // Its own purge comes when it comes.
        await world.sidecar!.stop()
        await age('9 days')
        await world.sql("insert into pglobalxact.event (kind, detail, at) values ('test', 'heard of late', now() - interval '30 days')")
        await purge()
        expect(await count(`commit_record where xid || '_' || nonce = '${id}'`), 'it waits').to.equal(1)
        expect(
            await world.admin("select state, behind > '8 days' as behind, holds_back > '1 day' as holds from pglobalxact.consumers()")
        ).to.deep.equal([{ state: 'waiting', behind: true, holds: true }])
        const seen = await drain('slow')
        expect(seen.filter(({ set_id, what }) => set_id === id && what === 'finished')).to.have.lengthOf(1)
        expect(seen.some(({ detail }) => detail === 'heard of late')).to.equal(true)
        await purge()
        expect(await count(`commit_record where xid || '_' || nonce = '${id}'`), 'it was read').to.equal(0)
        expect(await count("event where detail = 'heard of late'")).to.equal(0)
        expect(await count('set_event')).to.equal(0)

        await world.startSidecar()
        const other = await complete()
        await world.sidecar!.stop()
        await age('21 days')
        // Not while it is at work: it may be about to finish.
        await reader.query('begin')
        const batch = await next('slow')
        await purge()
        expect(await count(`commit_record where xid || '_' || nonce = '${other}'`)).to.equal(1)
        await reader.query('rollback')
        expect(batch.length).to.be.greaterThan(0)
        await purge()
        expect(await count(`commit_record where xid || '_' || nonce = '${other}'`)).to.equal(0)
        await refused(next('slow'), {
            code: '55000',
            message: /^consumer "slow" has expired: it finished no batch for 20 days$/,
            hint: /remove_consumer/
        })
        expect(await world.admin('select state, holds_back from pglobalxact.consumers()')).to.deep.equal([
            { state: 'expired', holds_back: null }
        ])
        expect(await world.admin("select detail from pglobalxact.history() where what = 'consumer expired'")).to.deep.equal([
            { detail: 'consumer "slow" finished no batch for 20 days: events are no longer kept for it' }
        ])
        await refused(rows(reader, "select * from pglobalxact.events('3:3:')"), { code: '55000', message: /no longer kept/ })
        await remove('slow')
    })

    it('is refused to a place of another server: after a restore from a dump xids begin anew', async () => {
        await add('restored')
        await world.sql("update pglobalxact.consumer set position = '900000000:900000000:' where name = 'restored'")
        await refused(next('restored'), { code: '55000', message: /lies in the future of this server$/ })
        await remove('restored')
    })
})
