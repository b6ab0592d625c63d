import { expect } from 'chai'
import type { Client } from 'pg'
import { NO_FAULTS } from '../../sidecar/fault'
import { createLog } from '../../sidecar/log'
import { Node } from '../../sidecar/node'
import { readAddress } from '../../sidecar/nodeoptions'
import { Tally } from '../../sidecar/tally'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'
import { addRow } from './common'

/** The lock classes of the fence: the first, and those that serve where a stranger squats on it. */
const CLASSES = [0x70677835, 0x70677845, 0x70677855, 0x70677865]

describe('the fence at a node', () => {
    let world: World
    let key: number
    const holders: Client[] = []
    before(async () => {
        world = await World.create({ name: 'fence', proxied: true })
        const [coordinator] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
        key = Number.parseInt(coordinator!.id, 16) | 0
    })
    after(() => world.destroy())
    afterEach(async () => {
        await Promise.all(holders.splice(0).map((client) => client.end()))
        if (world.sidecar?.running !== true) await world.startSidecar()
        await until(
            'both fences are held',
            async () => (await world.sql("select from pglobalxact.nodes() where fence = 'held'")).length === 2
        )
        await world.settled()
    })

    async function hold(user: string, password: string, classes: readonly number[], name: string): Promise<Client> {
        const client = await world.nodes.get('b')!.connect({ database: world.database, user, password, application_name: name })
        holders.push(client)
        for (const one of classes)
            expect((await client.query<{ got: boolean }>('select pg_try_advisory_lock($1, $2) as got', [one, key])).rows[0]!.got).to.equal(
                true
            )
        return client
    }
    const fence = async (): Promise<string> =>
        (await world.sql<{ fence: string }>("select fence from pglobalxact.nodes() where node = 'b'"))[0]!.fence
    const held = (): Promise<{ pid: number; class: number }[]> =>
        world.node(
            'b',
            "select pid, classid::int as class from pg_locks where locktype = 'advisory' and objid::bigint = ($1::bigint & 4294967295) and granted",
            [key]
        )

    async function works(): Promise<void> {
        const client = await world.coordinator.connect(world.login('app'))
        await addRow(world, client)
        await client.query("select pglobalxact.await(timeout => '5 seconds')")
        await client.end()
    }

    it('is held once, by the first class, while the sidecar acts', async () => {
        await until('it is held', async () => (await held()).length === 1)
        expect((await held())[0]!.class).to.equal(CLASSES[0])
        await works()
    })

    it('passes over a stranger who squats on it, and says so', async () => {
        await world.sidecar!.stop()
        await hold('node_app', PASSWORDS.node_app, CLASSES.slice(0, 2), 'squatter')
        const sidecar = await world.startSidecar()
        await sidecar.waitForLog(/ warning fence lock held by a stranger, ignored node=b role=node_app pid=\d+$/)
        await works()
        expect((await held()).map((one) => one.class).sort()).to.deep.equal(CLASSES.slice(0, 3))
    })

    it('waits for a stranger who squats on every class, then acts', async () => {
        await world.sidecar!.stop()
        const squatter = await hold('node_app', PASSWORDS.node_app, CLASSES, 'squatter')
        await world.startSidecar()
        await until('it says so', async () => (await fence()) === 'every fence lock is held by others: node_app')
        await squatter.query('select pg_advisory_unlock_all()')
        await until('it is held', async () => (await fence()) === 'held')
        await works()
    })

    for (const one of [CLASSES[0]!, CLASSES[3]!]) {
        it(`is not taken while the sidecar's own login holds it from elsewhere, under class ${one.toString(16)}`, async () => {
            await world.sidecar!.stop()
            const rival = await hold('node_sidecar', PASSWORDS.node_sidecar, [one], 'pgx_rival')
            await world.startSidecar()
            await until('it says so', async () =>
                /^held by another sidecar of this coordinator or of a copy of it: pid \d+, pgx_rival$/.test(await fence())
            )
            // A decided set is finished on the other node, and waits here.
            const client = await world.coordinator.connect(world.login('app'))
            const id = await addRow(world, client)
            await client.end()
            await until(
                'the branch waits',
                async () =>
                    (
                        await world.sql(
                            "select from pglobalxact.branches($1) where node = 'b' and state = 'waiting' and last_error like 'held by another%'",
                            [id]
                        )
                    ).length === 1
            )
            await until(
                'the other is committed',
                async () =>
                    (await world.sql("select from pglobalxact.branches($1) where node = 'c' and state = 'committed'", [id])).length === 1
            )
            expect((await rival.query('select 1')).rowCount, "nobody else's session is ended").to.equal(1)
            await rival.query('select pg_advisory_unlock_all()')
            await until('both are committed', async () => (await world.prepared()).length === 0)
        })
    }

    it("is not taken while another sidecar's connections for finishing branches are open, though its fence is gone", async () => {
        await world.sidecar!.stop()
        const [coordinator] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
        const name = `pgx_${coordinator!.id}_sidecar_00112233aabbccdd_1_0a1b2c3d_hand`
        const hand = await hold('node_sidecar', PASSWORDS.node_sidecar, [], name)
        await hold('node_app', PASSWORDS.node_app, [], name) // anyone may call a session so
        await world.startSidecar()
        const [{ pid }] = (await hand.query<{ pid: number }>('select pg_backend_pid() as pid')).rows as [{ pid: number }]
        await until('it says so', async () => (await fence()) === `held by another sidecar: pid ${pid}, ${name}`)
        expect(await held(), 'the lock is given back').to.have.lengthOf(0)
        await hand.end()
        holders.splice(holders.indexOf(hand), 1)
        await until('it is held', async () => (await fence()) === 'held')
        await works()
    })

    it('that was lost unnoticed lets no new connection finish branches', async () => {
        await world.sidecar!.stop()
        const { host, port } = world.nodes.get('b')!
        const server = [`host=${host}`, `port=${port}`, `dbname=${world.database}`]
        const mapping = ['user=node_sidecar', `password=${PASSWORDS.node_sidecar}`]
        const [coordinator] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
        let lost = 0
        const node = new Node(
            readAddress({ number: 1, name: 'b', server_options: server, mapping_options: mapping, active: true, lost: false }),
            { coordinator: coordinator!.id, home: '0011223344556677', place: 'here/bank', timeout: 5000, connections: 1, fault: NO_FAULTS },
            createLog(() => undefined),
            new Tally(),
            () => (lost += 1)
        )
        const gid = `pgx_${coordinator!.id}_1_cafe0123_1`
        await world.node('b', `begin; select pg_current_xact_id(); prepare transaction '${gid}'`)
        try {
            expect(await node.connect(), node.fenceState).to.equal(true)
            await (Reflect.get(node, 'session') as Client).query('select pg_advisory_unlock_all()')
            const answer = await node.finish('rollback', gid, undefined)
            expect(answer.ok).to.equal(false)
            expect([node.up, lost, (await world.prepared()).length]).to.deep.equal([false, 1, 1])
        } finally {
            node.close()
            await world.node('b', `rollback prepared '${gid}'`)
        }
    })

    it('that is lost with its connection is taken again, and nothing is sent in between', async () => {
        const [before] = await held()
        await world.node('b', 'select pg_terminate_backend($1)', [before!.pid])
        await until('another session holds it', async () => (await held()).some(({ pid }) => pid !== before!.pid))
        await works()
    })

    it("is taken from the sidecar's own session when that was cut off without a word", async () => {
        const sidecar = world.sidecar!
        const b = world.proxies.get('b')!
        const [before] = await held()
        b.blackhole()
        await sidecar.waitForLog(/ warning node cannot be reached node=b /)
        // The server still has the old session: its end was swallowed. The new one comes by another way.
        await world.sql(`alter server b options (set port '${b.targetPort}')`)
        await sidecar.waitForLog(new RegExp(` info ended own stale session node=b pid=${before!.pid}$`))
        await until('it is held', async () => (await fence()) === 'held')
        await works()
        b.resetAll()
        await b.restore()
        const [direct] = await held()
        await world.sql(`alter server b options (set port '${b.port}')`)
        await until('it is held by the old way again', async () => (await held()).some(({ pid }) => pid !== direct!.pid))
    })

    it('is given up by the death of the sidecar alone, not by its standing still', async () => {
        const sidecar = world.sidecar!
        const [before] = await held()
        sidecar.pause()
        const started = Date.now()
        await until('three seconds have passed', () => Date.now() - started > 3000)
        expect(await held()).to.deep.equal([before])
        await sidecar.kill()
        await until('it is given up', async () => (await held()).length === 0, { timeoutMs: 5000 })
    })
})
