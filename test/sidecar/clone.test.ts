import { cpSync, rmSync } from 'node:fs'
import { expect } from 'chai'
import type { Client } from 'pg'
import { startCluster, type Cluster } from '../support/cluster'
import { startSidecar, type Sidecar } from '../support/process'
import { cloneOf } from '../support/snapshot'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, newStateDir } from './common'

const TIMES = ['--scan-interval', '200', '--retry-cap', '500', '--node-timeout', '3000'] as const

/**
 * A snapshot of the running coordinator started elsewhere: it believes that it made every set of this server start, sees
 * branches whose commit it never saw, and would presume them aborted.
 */
describe('a clone of the coordinator', () => {
    let own: Cluster
    let world: World
    let clone: Cluster | undefined
    let twin: Sidecar | undefined
    before(async () => {
        own = await startCluster({ name: 'own' })
        world = await World.create({ name: 'clone', clusters: { a: own } })
        const client = await own.connect(world.login('app'))
        await addRow(world, client) // the snapshot must know this server start
        await client.query('select pglobalxact.await()')
        await client.end()
    })
    after(async () => {
        await world.destroy()
        await own.destroy()
    })
    afterEach(async () => {
        await twin?.stop()
        await clone?.destroy()
        if (world.sidecar?.running !== true) await world.startSidecar()
        await world.settled()
    })

    async function startTwin(stateDir: string): Promise<Sidecar> {
        clone = await cloneOf(own, 'clone')
        expect(await clone.query('select from pglobalxact.server_start', [], world.database)).to.have.lengthOf(1)
        twin = startSidecar({ stateDir, databaseUrl: world.sidecarUrl.replace(`:${own.port}/`, `:${clone.port}/`), args: TIMES })
        return twin
    }

    function copyOfStateDir(): string {
        const stateDir = newStateDir()
        rmSync(stateDir, { recursive: true })
        cpSync(world.stateDir, stateDir, { recursive: true, filter: (path) => !path.endsWith('.sock') })
        return stateDir
    }

    async function commitMany(client: Client): Promise<void> {
        for (let turn = 0; turn < 10; turn++) await addRow(world, client)
    }

    const cloned = (sql: string): Promise<Record<string, unknown>[]> => clone!.query(sql, [], world.database)

    it("with a state directory of its own waits for a person, and the original's branches wait for the original", async () => {
        const sidecar = await startTwin(newStateDir())
        await sidecar.waitForLog(/is not allowed to act for this coordinator/)
        // Worst for the original: its own sidecar is down, its committed branches lie about.
        await world.sidecar!.stop()
        const client = await own.connect(world.login('app'))
        await commitMany(client)
        await client.end()
        await until(
            'the twin has looked',
            async () => (await cloned("select from pglobalxact.sidecar where seen_at > now() - interval '1 second'")).length > 0
        )
        expect(await world.prepared()).to.have.lengthOf(20)
        await world.startSidecar()
        await world.settled()
        expect(await world.sql('select distinct outcome from pglobalxact.commit_record')).to.deep.equal([{ outcome: 'committed' }])
    })

    it('with a copy of the state directory too is kept off by the fences while the original lives', async () => {
        const sidecar = await startTwin(copyOfStateDir())
        await sidecar.waitForLog(/ acting /)
        await until(
            'the fences keep it off',
            async () => (await cloned("select from pglobalxact.nodes() where fence like 'held by %'")).length === 2
        )
        expect((await cloned("select fence from pglobalxact.nodes() where node = 'b'"))[0]!['fence']).to.match(
            /^held by an earlier session of this sidecar, or by a copy of its host: pid \d+, pgx_/
        )
        expect((await cloned('select note from pglobalxact.status()'))[0]!['note']).to.match(
            /^acting; fenced off on b, c \(see nodes\(\)\)$/
        )
        const from = world.sidecar!.logs.length
        const clients = await Promise.all([1, 2, 3].map(() => own.connect(world.login('app'))))
        await Promise.all(clients.map(commitMany))
        await Promise.all(clients.map((client) => client.end()))
        await world.settled()
        expect(await world.sql('select distinct outcome from pglobalxact.commit_record')).to.deep.equal([{ outcome: 'committed' }])
        expect(world.sidecar!.logs.slice(from)).to.deep.equal([])
        expect(sidecar.logs.join('\n')).to.not.match(/rolled back|stale session/)
    })
})
