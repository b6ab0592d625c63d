import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { startCluster, type Cluster } from '../support/cluster'
import { startSidecar, type Sidecar } from '../support/process'
import { startProxy, type Proxy } from '../support/proxy'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, newStateDir } from './common'

describe('SIGTERM stops the sidecar within five seconds, with exit 0,', () => {
    let own: Cluster
    let world: World
    let door: Proxy
    let other: Sidecar | undefined
    before(async () => {
        own = await startCluster({ name: 'own' })
        door = await startProxy(own.port)
        world = await World.create({ name: 'stop', clusters: { a: own }, proxied: true, sidecarArgs: ['--node-timeout', '60000'] })
    })
    after(async () => {
        await world.destroy()
        await own.destroy()
    })
    beforeEach(async () => {
        if (own.pid === undefined) await own.start()
        if (world.sidecar?.running !== true) await world.startSidecar()
        await world.settled()
    })
    afterEach(async () => {
        await other?.kill()
        other = undefined
        for (const proxy of [door, ...world.proxies.values()]) {
            proxy.resetAll()
            await proxy.restore()
        }
    })

    async function stops(sidecar: Sidecar): Promise<void> {
        const started = Date.now()
        expect(await sidecar.stop(), sidecar.logs.slice(-5).join('\n')).to.equal(0)
        expect(Date.now() - started).to.be.below(5000)
        expect(sidecar.logs.some((line) => / info stopping signal=SIGTERM$/.test(line))).to.equal(true)
    }

    it('while idle, leaving its fences and its state directory free for the next', async () => {
        await stops(world.sidecar!)
        expect(world.sidecar!.logs.at(-1)).to.match(/ info stopped$/)
        expect(readdirSync(world.stateDir)).to.deep.equal(['home'])
        for (const name of ['b', 'c']) {
            await until(
                `no session is left on ${name}`,
                async () =>
                    (
                        await world.node(name, 'select from pg_stat_activity where datname = $1 and application_name like $2', [
                            world.database,
                            'pgx%sidecar%'
                        ])
                    ).length === 0
            )
        }
    })

    it('while a node is black-holed and a branch waits there', async () => {
        const sidecar = world.sidecar!
        const b = world.proxies.get('b')!
        const client = await own.connect(world.login('app'))
        await world.transfer(client)
        const held = b.onClientData('COMMIT PREPARED', 'before', () => b.blackhole())
        await client.query('commit')
        await held
        await client.end()
        await stops(sidecar)
        const [file] = readdirSync(world.stateDir).filter((name) => name.startsWith('state-'))
        expect(readFileSync(join(world.stateDir, file!), 'utf8'), 'the decision stays on disk').to.match(/ pending /)
    })

    it('while its database is down', async () => {
        await own.stop('immediate')
        await world.sidecar!.waitForLog(/cannot reach the coordinator/)
        await stops(world.sidecar!)
    })

    it('while it has never reached its database', async () => {
        other = startSidecar({ stateDir: newStateDir(), databaseUrl: 'postgresql://nobody:x@127.0.0.1:1/none' })
        await other.waitForLog(/cannot reach the coordinator/)
        await stops(other)
    })

    for (const [what, where] of [
        ['at its first connection', 'connect'],
        ['while it acts', 'acting']
    ] as const) {
        it(`when its database stops answering ${what}`, async () => {
            await world.sidecar!.stop()
            const databaseUrl = world.sidecarUrl.replace(`:${own.port}/`, `:${door.port}/`)
            if (where === 'connect') door.blackhole()
            other = startSidecar({ stateDir: world.stateDir, databaseUrl })
            await other.waitForLog(where === 'connect' ? /state directory read/ : / acting /)
            if (where === 'connect') await until('it has connected', () => door.sockets > 0)
            else door.blackhole()
            await stops(other)
        })
    }

    it('while it waits for another to end, which is not disturbed', async () => {
        const stateDir = newStateDir()
        await world.sql('insert into pglobalxact.home (id, reason) values ($1, $2)', [await homeOf(stateDir), 'test'])
        other = startSidecar({ stateDir, databaseUrl: world.sidecarUrl })
        await other.waitForLog(/another sidecar acts for this coordinator/)
        await stops(other)
        expect(world.sidecar!.running).to.equal(true)
        expect((await world.sql('select sidecar from pglobalxact.status()'))[0]).to.deep.equal({ sidecar: 'acting' })
    })

    it('while it waits to be adopted', async () => {
        other = startSidecar({ stateDir: newStateDir(), databaseUrl: world.sidecarUrl })
        await other.waitForLog(/is not allowed to act for this coordinator/)
        await stops(other)
    })

    it('under load, losing nothing', async () => {
        const clients = await Promise.all(Array.from({ length: 4 }, () => own.connect(world.login('app'))))
        let on = true
        let committed = 0
        const load = clients.map(async (client) => {
            while (on) {
                await addRow(world, client)
                committed += 1
            }
        })
        await until(
            'sets are being finished',
            async () => (await world.sql('select from pglobalxact.commit_record where complete_at is not null limit 50')).length === 50
        )
        await stops(world.sidecar!)
        on = false
        await Promise.all(load)
        await Promise.all(clients.map((client) => client.end()))
        await world.startSidecar()
        await world.settled()
        for (const name of ['b', 'c']) expect(await world.node(name, 'select from account where id > 1000')).to.have.lengthOf(committed)
    })

    /** The home id that a sidecar gives a directory at its first start. */
    async function homeOf(stateDir: string): Promise<string> {
        const first = startSidecar({ stateDir, databaseUrl: 'postgresql://nobody:x@127.0.0.1:1/none' })
        const line = await first.waitForLog(/state directory read/)
        await first.stop()
        return / home=([0-9a-f]{16})/.exec(line)![1]!
    }
})
