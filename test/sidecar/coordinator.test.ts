import { expect } from 'chai'
import { startCluster, type Cluster } from '../support/cluster'
import { startSidecar } from '../support/process'
import { until } from '../support/wait'
import { World } from '../support/world'

describe('the sidecar and the going and coming of its coordinator', () => {
    let own: Cluster
    let world: World
    before(async () => {
        own = await startCluster({ name: 'own' })
        world = await World.create({ name: 'coordinator', clusters: { a: own } })
    })
    after(async () => {
        await world.destroy()
        await own.destroy()
    })
    beforeEach(async () => {
        if (own.pid === undefined) await own.start()
        if (world.sidecar?.running !== true) await world.startSidecar()
    })
    afterEach(() => world.settled())

    async function transfers(): Promise<void> {
        const before = await world.balances()
        const client = await own.connect(world.login('app'))
        await world.transfer(client)
        await client.query('commit')
        expect((await client.query('select pglobalxact.await() as outcome')).rows).to.deep.equal([{ outcome: 'committed' }])
        await client.end()
        const after = await world.balances()
        expect([after['a']! - before['a']!, after['b']! - before['b']!, after['c']! - before['c']!]).to.deep.equal([-20, 10, 10])
    }

    const sessions = async (name: string): Promise<number> =>
        (await own.query('select from pg_stat_activity where application_name = $1 and datname = $2', [name, world.database])).length

    it('starts before its database is up, says so once, and acts when it comes', async () => {
        await world.sidecar?.stop()
        await own.stop()
        const sidecar = startSidecar({ stateDir: world.stateDir, databaseUrl: world.sidecarUrl })
        world.sidecar = sidecar
        await sidecar.waitForLog(/ warning cannot reach the coordinator: connection refused by /)
        // While it starts up the database answers, and takes no sessions yet: all that is no reason to give up.
        await own.start()
        await sidecar.waitForLog(/ acting /)
        expect(sidecar.logs.filter((line) => /connection refused/.test(line))).to.have.lengthOf(1)
        await transfers()
    })

    for (const mode of ['fast', 'immediate', 'kill'] as const) {
        it(`survives ${mode === 'kill' ? 'a crash' : `${mode === 'fast' ? 'a fast' : 'an immediate'} restart`} of its coordinator and goes on`, async () => {
            const sidecar = world.sidecar!
            const from = sidecar.logs.length
            if (mode === 'kill') await own.kill()
            else await own.stop(mode)
            await sidecar.waitForLog(/ warning (lost|cannot reach) the coordinator/, undefined, from)
            await own.start()
            await sidecar.waitForLog(/ acting /, undefined, from)
            await transfers()
            expect(sidecar.logs.slice(from).join('\n'), 'the nodes had no part in it').to.not.contain('node cannot be reached')
        })
    }

    it('does not gather connections in many restarts', async () => {
        for (let turn = 0; turn < 3; turn++) {
            const from = world.sidecar!.logs.length
            await own.restart('immediate')
            await world.sidecar!.waitForLog(/ acting /, undefined, from)
        }
        await transfers()
        await until('one session of each kind is there', async () => {
            const counts = await Promise.all(
                ['pglobalxact sidecar', 'pglobalxact sidecar (work)', 'pglobalxact sidecar (doorbell)'].map(sessions)
            )
            return counts.join() === '1,1,1'
        })
        // A second subscription would show within its reconnect interval of half a second.
        const seen = new Set<number>()
        const deadline = Date.now() + 1500
        await until('time has passed', async () => seen.add(await sessions('pglobalxact sidecar (doorbell)')) && Date.now() > deadline)
        expect([...seen]).to.deep.equal([1])
    })

    for (const name of ['pglobalxact sidecar', 'pglobalxact sidecar (work)']) {
        it(`reconnects when its session "${name}" is ended, and holds the election again`, async () => {
            const sidecar = world.sidecar!
            const from = sidecar.logs.length
            await own.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = $2', [
                name,
                world.database
            ])
            await sidecar.waitForLog(/ acting /, undefined, from)
            await transfers()
        })
    }
})
