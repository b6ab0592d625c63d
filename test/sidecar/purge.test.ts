import { expect } from 'chai'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, failure } from './common'

describe('the retention of commit records', () => {
    let world: World
    before(async () => {
        world = await World.create({ name: 'purge', proxied: true })
    })
    after(() => world.destroy())

    const count = async (table: string): Promise<number> =>
        (await world.sql<{ n: number }>(`select count(*)::int as n from pglobalxact.${table}`))[0]!.n
    const outcome = async (id: string): Promise<string> =>
        (await world.sql<{ o: string }>('select pglobalxact.outcome($1) as o', [id]))[0]!.o

    /** The sidecar purges at its start, and every minute from then on. */
    async function restart(): Promise<void> {
        await world.sidecar!.stop()
        await world.startSidecar()
    }

    it('is seven days by default, and cannot be nothing', async () => {
        expect(await world.sql("select retention = interval '7 days' as week from pglobalxact.coordinator")).to.deep.equal([{ week: true }])
        expect(await failure(world.sql("update pglobalxact.coordinator set retention = '0'"))).to.include({ code: '23514' })
    })

    it('keeps the records of complete sets for that long', async () => {
        const client = await world.connect()
        for (let i = 0; i < 3; i++) await addRow(world, client)
        await client.query('select pglobalxact.await()')
        await restart()
        await world.settled()
        expect([await count('commit_record'), await count('branch_record')]).to.deep.equal([3, 6])
    })

    it('removes them after it, but never one that is open or that nobody acknowledged', async () => {
        const client = await world.connect()
        // One mixed, one that waits for a dead node.
        const b = world.proxies.get('b')!
        const held = async (): Promise<string> => {
            const cut = b.onClientData('COMMIT PREPARED', 'before', () => void b.cut())
            const id = await addRow(world, client)
            await cut
            await until(
                'b is known to be away',
                async () =>
                    (await world.sql("select from pglobalxact.branches($1) where node = 'b' and state = 'waiting'", [id])).length === 1
            )
            return id
        }
        const mixed = await held()
        await world.admin("select * from pglobalxact.force_rollback($1, reason => 'x', accept_mixed => true, confirm => 'yes')", [mixed])
        await until('it is mixed', async () => (await outcome(mixed)) === 'mixed')
        await b.restore()
        await until('b has rolled it back', async () => (await world.prepared()).length === 0)
        const open = await held()

        // Enough for several batches.
        await world.sql(`set local session_replication_role = replica; insert into pglobalxact.commit_record (xid, nonce, application_name, complete_at, outcome)
            select (i || '')::xid8, 'cafe0123', 'old', clock_timestamp(), 'committed' from generate_series(1, 2500) i`)
        await world.sql("update pglobalxact.coordinator set retention = '1 millisecond'")
        const requests = await count('request')
        expect(requests).to.be.greaterThan(0)
        await restart()
        await until('only two are left', async () => (await count('commit_record')) === 2, { timeoutMs: 10_000 })
        expect(await count('branch_record')).to.equal(4)
        expect(await count('request')).to.equal(0)
        expect(await outcome(open)).to.equal('committed')
        expect(
            (await world.sql('select set_id, outcome from pglobalxact.sets() order by outcome')).map((row) => row['outcome'])
        ).to.deep.equal(['committed', 'mixed'])

        await b.restore()
        await world.admin("select pglobalxact.acknowledge($1, 'repaired')", [mixed])
        await world.settled()
        await restart()
        await until('none is left', async () => (await count('commit_record')) === 0, { timeoutMs: 10_000 })
        expect(await count('branch_record')).to.equal(0)
        expect(await outcome(open), 'nothing proves it any more').to.equal('unknown')
    })

    it('leaves a branch of that age to a person: its record may have been among them', async () => {
        const client = await world.connect()
        const id = await addRow(world, client)
        await client.query('select pglobalxact.await()')
        const number = (await world.sql<{ n: number }>("select number as n from pglobalxact.node where name = 'b'"))[0]!.n
        const gid = `pgx_${(await world.sql<{ id: string }>('select id from pglobalxact.coordinator'))[0]!.id}_${id}_${number}`
        await restart()
        await until('its record is gone', async () => (await count('commit_record')) === 0, { timeoutMs: 10_000 })
        // As on a node restored from a backup of when it was prepared.
        await world.node('b', `begin; create table restored (); prepare transaction '${gid}'`)
        await until('it is left alone', async () => {
            const rows = await world.admin('select state, last_error from pglobalxact.branches($1)', [id])
            return rows[0]?.['state'] === 'left alone' && /not kept any more: it may have committed/.test(String(rows[0]['last_error']))
        })
        expect(await world.prepared()).to.deep.equal([gid])
        await world.node('b', `rollback prepared '${gid}'`)
        await world.settled()
    })
})
