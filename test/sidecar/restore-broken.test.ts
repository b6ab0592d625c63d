import { expect } from 'chai'
import { startCluster, type Cluster } from '../support/cluster'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'
import { commitRefusedAt } from './common'
import { armHold, held, hold, replace } from './restore/hold'

const WRITING = 471_301

describe('a restore point that does not come about', () => {
    let world: World
    let lone: Cluster // c: frozen and stopped
    before(async () => {
        lone = await startCluster({ name: 'c' })
        world = await World.create({ name: 'broken', clusters: { c: lone } })
        const grant = 'grant execute on function pg_create_restore_point(text) to'
        await world.sql(`${grant} pglobalxact`)
        for (const node of ['b', 'c']) await world.node(node, `${grant} node_sidecar`)
        await armHold(world)
    })
    after(async () => {
        try {
            await world?.destroy()
        } finally {
            await lone?.destroy()
        }
    })

    const create = (name: string, more: string): Promise<unknown> =>
        world.admin(`select pglobalxact.create_restore_point($1, ${more})`, [name])

    const marks = async (node: string): Promise<number> =>
        (await world.node(node, "select from pg_prepared_xacts where gid like 'pgxr%' and database = current_database()")).length

    const state = async (name: string): Promise<unknown> =>
        (await world.admin('select state from pglobalxact.restore_points() where name = $1', [name]))[0]?.['state']

    const givenUp = (name: string): Promise<unknown> => until('it is given up', async () => (await state(name)) === 'given up')

    it('as a node does not answer in time lets commits go on, and leaves nothing', async () => {
        const stop = await hold(world)
        const answer = refused(create('frozen', "timeout => '1500 ms'"), { code: '57014', message: /not done within 1500 ms/ })
        await held(world)
        lone.pause()
        try {
            await stop.end()
            await answer
            const client = await world.connect()
            await client.query("begin; select pglobalxact.exec('b', 'insert into account values (2, 0)')")
            await client.query('commit')
        } finally {
            lone.resume()
        }
        await givenUp('frozen')
        expect([await marks('b'), await marks('c')]).to.deep.equal([0, 0])
        // Its name may stand in some server's WAL.
        await refused(create('frozen', "timeout => '10 seconds'"), { code: '42710', message: /"frozen" already/ })
        await create('again', "timeout => '10 seconds'")
        expect(await state('again')).to.equal('complete')
        await world.settled()
    })

    it('as the sidecar dies on the way is ended by the next one, marks and all', async () => {
        const stop = await hold(world)
        const answer = create('killed', "timeout => '10 seconds'").catch((error: unknown) => error)
        await held(world)
        lone.pause()
        try {
            await stop.end()
            await until('one node is marked', async () => (await marks('b')) === 1)
            await world.sidecar!.kill()
        } finally {
            lone.resume()
        }
        expect(await state('killed')).to.equal('under way')
        expect(await marks('b')).to.equal(1)
        await world.startSidecar()
        await givenUp('killed')
        expect([await marks('b'), await marks('c')]).to.deep.equal([0, 0])
        expect(await answer).to.be.instanceOf(Error)
    })

    it('as a committed set is not finished holds up nobody, unless its node is left out: then the manifest has its branch', async () => {
        try {
            const set = await commitRefusedAt(world, 'c')
            await refused(create('open', "timeout => '10 seconds'"), {
                code: '55000',
                message: /^node "c" cannot finish branches of committed sets/
            })
            const [row] = await world.admin<{ m: { open: string[]; left_out: string[] } }>(
                "select pglobalxact.create_restore_point('open', '{b}', '10 seconds') as m"
            )
            expect(row!.m.left_out).to.deep.equal(['c'])
            expect(row!.m.open).to.have.lengthOf(1)
            expect(row!.m.open[0]).to.match(new RegExp(`_${set}_[0-9]+$`))
        } finally {
            await world.node('c', 'grant node_app to node_sidecar')
        }
        await world.settled()
    })

    it('without its commit records written back is not taken: a node on a new time line would prove nothing of them', async () => {
        await replace(
            world,
            '_complete(xid8[], text[], timestamptz[])',
            'begin\n',
            (begin) => `${begin} if not pg_try_advisory_xact_lock_shared(${WRITING}) then raise 'not now'; end if;\n`
        )
        const stop = await hold(world, WRITING)
        const client = await world.connect()
        await world.transfer(client)
        await client.query('commit')
        await until('it is finished on the nodes', async () => (await world.prepared()).length === 0)
        await refused(create('unwritten', "timeout => '500 ms'"), {
            code: '57014',
            message: /not done within 500 ms/
        })
        await stop.end()
        await create('written', "timeout => '10 seconds'")
        expect(await world.sql('select outcome from pglobalxact.commit_record where complete_at is null')).to.deep.equal([])
        await world.settled()
    })
})
