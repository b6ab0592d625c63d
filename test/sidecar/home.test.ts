import { expect } from 'chai'
import { startCluster, type Cluster } from '../support/cluster'
import { startSidecar, type Sidecar } from '../support/process'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, failure, newStateDir } from './common'

const TIMES = ['--scan-interval', '200', '--retry-cap', '500', '--node-timeout', '3000'] as const

describe('homes: which sidecar may act for a coordinator', () => {
    let own: Cluster
    let world: World
    const others: Sidecar[] = []
    before(async () => {
        own = await startCluster({ name: 'own' })
        world = await World.create({ name: 'home', clusters: { a: own } })
    })
    after(async () => {
        await world.destroy()
        await own.destroy()
    })
    afterEach(async () => {
        for (const other of others.splice(0)) await other.stop()
        if (world.sidecar?.running !== true) await world.startSidecar()
        await world.settled()
    })

    const start = (stateDir: string, databaseUrl = world.sidecarUrl): Sidecar => {
        const sidecar = startSidecar({ stateDir, databaseUrl, args: TIMES })
        others.push(sidecar)
        return sidecar
    }
    const homeOf = async (sidecar: Sidecar): Promise<string> =>
        / home=([0-9a-f]{16})/.exec(await sidecar.waitForLog(/state directory read/))![1]!

    /** Commits a set that nobody finishes, as no sidecar acts. */
    async function unfinishedSet(): Promise<string> {
        const client = await own.connect(world.login('app'))
        const id = await addRow(world, client)
        await client.end()
        return id
    }

    it('the first to start is entered, and another home looks, says who it may be, and touches nothing', async () => {
        expect(await world.sql('select reason from pglobalxact.home')).to.deep.equal([{ reason: 'first sidecar of this coordinator' }])
        await world.sidecar!.stop()
        await unfinishedSet()
        const other = start(newStateDir())
        const home = await homeOf(other)
        const line = await other.waitForLog(/is not allowed to act/)
        expect(line).to.contain(
            `home ${home} is not allowed to act for this coordinator: this is either a new host (then run: select pglobalxact.adopt('reason');) or a copy`
        )
        await until(
            'it has looked several times',
            async () => (await world.sql("select from pglobalxact.sidecar where seen_at > started_at + interval '3 seconds'")).length > 0
        )
        expect(await world.prepared()).to.have.lengthOf(2)
        expect(
            other.logs.filter((one) => /is not allowed/.test(one)),
            'said once'
        ).to.have.lengthOf(1)
    })

    it('adopt(reason) lets the waiting one act, and is remembered', async () => {
        await world.sidecar!.stop()
        await unfinishedSet()
        const other = start(newStateDir())
        const home = await homeOf(other)
        await other.waitForLog(/is not allowed to act/)
        expect(await failure(world.admin("select pglobalxact.adopt(' ')"))).to.include({
            code: '22023',
            message: 'a reason is needed: it is recorded with who and when'
        })
        expect(await world.admin("select pglobalxact.adopt('the old host burnt down') as home")).to.deep.equal([{ home }])
        await other.waitForLog(/ acting /)
        await until('the set is finished', async () => (await world.prepared()).length === 0)
        expect(await world.sql('select allowed_by, reason from pglobalxact.home where id = $1', [home])).to.deep.equal([
            { allowed_by: 'dba', reason: 'the old host burnt down' }
        ])
        expect(await world.sql("select who, detail from pglobalxact.event where kind = 'adopted'")).to.deep.equal([
            { who: 'dba', detail: `home ${home}: the old host burnt down` }
        ])
    })

    it('adopt() is an error when no unknown home waits, and when the caller is no administrator', async () => {
        expect(await failure(world.admin("select pglobalxact.adopt('x')"))).to.include({
            code: '55000',
            message: 'no sidecar of an unknown home waits here'
        })
        const client = await world.connect('watcher')
        expect(await failure(client.query("select pglobalxact.adopt('x')"))).to.include({ code: '42501' })
    })

    it("allow_home() lets a standby's sidecar act without a word when its time comes", async () => {
        const stateDir = newStateDir()
        const first = start(stateDir)
        const home = await homeOf(first)
        await first.stop()
        for (const bad of ['', 'x', home.toUpperCase(), home.slice(1), `${home}0`]) {
            if (bad === home) continue
            expect(await failure(world.admin("select pglobalxact.allow_home($1, 'pair')", [bad]))).to.include({
                code: '22023',
                message: `"${bad}" is not the id of a home`
            })
        }
        await world.admin("select pglobalxact.allow_home($1, 'standby of the pair')", [home])
        await world.admin("select pglobalxact.allow_home($1, 'twice')", [home])
        const second = start(stateDir)
        await second.waitForLog(/another sidecar acts for this coordinator: role "pglobalxact", pid \d+/)
        await unfinishedSet()
        await world.sidecar!.kill()
        await second.waitForLog(/ acting /)
        await unfinishedSet()
        await until('all is finished', async () => (await world.prepared()).length === 0)
    })

    it('of two that act for one coordinator in turn, at most one holds the fences', async () => {
        const fences = async (): Promise<number> =>
            (
                await world.node(
                    'b',
                    "select from pg_locks where locktype = 'advisory' and classid = x'70677835'::int and database = (select oid from pg_database where datname = current_database())"
                )
            ).length
        const stateDir = newStateDir()
        await world.sql("insert into pglobalxact.home (id, reason) values ($1, 'test')", [await homeOf(start(stateDir))])
        await until('status() names the second one', async () => {
            const [{ note }] = (await world.sql<{ note: string }>('select note from pglobalxact.status()')) as [{ note: string }]
            return /^acting; another wants to act: sidecar pid \d+ on host .*: it waits for this one to end$/.test(note)
        })
        for (let turn = 0; turn < 3; turn++) {
            const [acting] = await world.sql<{ pid: number }>('select pid from pglobalxact.sidecar')
            await until('the fence is held', async () => (await fences()) === 1)
            await world.sql('select pg_terminate_backend(pid) from pglobalxact._sidecar_pid()')
            await until(
                'one acts',
                async () => (await world.sql<{ sidecar: string }>('select sidecar from pglobalxact.status()'))[0]!.sidecar === 'acting'
            )
            expect(acting).to.not.equal(undefined)
            const client = await own.connect(world.login('app'))
            await addRow(world, client)
            await client.query("select pglobalxact.await(timeout => '10 seconds')")
            await client.end()
            expect(await fences()).to.equal(1)
        }
    })
})
