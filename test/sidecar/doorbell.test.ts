import { expect } from 'chai'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow } from './common'

const SOON = 3000 // ms: far below the slow look's interval, far above what a busy test machine takes

describe('the doorbell, with a slow look every minute only', () => {
    let world: World
    before(async () => {
        world = await World.create({ name: 'doorbell', sidecarArgs: ['--scan-interval', '60000'] })
        await world.coordinator.query(
            "do $$ begin if to_regrole('stranger') is null then create role stranger login password 'stranger'; end if; end $$"
        )
    })
    after(() => world.destroy())
    afterEach(() => world.settled())

    const listeners = (): Promise<{ pid: number }[]> =>
        world.sql(
            "select pid from pg_stat_activity where application_name = 'pglobalxact sidecar (doorbell)' and datname = current_database()"
        )

    /** Commits a set while nothing else happens, and expects it to be finished long before the slow look. */
    async function finishedSoon(times = 1): Promise<void> {
        const client = await world.coordinator.connect(world.login('app'))
        for (let turn = 0; turn < times; turn++) {
            await until('the sidecar sleeps', asleep)
            const started = Date.now()
            await addRow(world, client)
            expect((await client.query<{ outcome: string }>('select pglobalxact.await() as outcome')).rows[0]!.outcome).to.equal(
                'committed'
            )
            expect(Date.now() - started).to.be.below(SOON)
        }
        await client.end()
    }

    /** It polls as long as it holds the lock "awake". */
    async function asleep(): Promise<boolean> {
        return (
            (
                await world.sql(
                    "select from pg_locks where locktype = 'advisory' and classid = any (pglobalxact._lock_keys('awake')) and database = (select oid from pg_database where datname = current_database())"
                )
            ).length === 0
        )
    }

    it('wakes the idle sidecar for a set at once', () => finishedSoon(10))

    it('wakes it for a request at once', async () => {
        await until('the sidecar sleeps', asleep)
        const started = Date.now()
        await world.admin('select * from pglobalxact.state_lines()')
        expect(Date.now() - started).to.be.below(SOON)
    })

    it("is a hint only: any role's notifications, whatever their payload, break nothing and are not logged", async () => {
        const stranger = await world.coordinator.connect({ database: world.database, user: 'stranger', password: 'stranger' })
        const from = world.sidecar!.logs.length
        for (const channel of ['pglobalxact', 'pglobalxact_echo']) {
            for (const payload of [
                '',
                'x',
                '{"sets":',
                'null',
                "'; drop schema pglobalxact",
                'two\nlines\u001b[31m',
                'ü✓😀',
                '9'.repeat(7999),
                '[]',
                '{"__proto__":{}}'
            ]) {
                await stranger.query('select pg_notify($1, $2)', [channel, payload])
            }
        }
        await stranger.query(`do $$ begin for i in 1 .. 5000 loop perform pg_notify('pglobalxact', i::text); end loop; end $$`)
        await stranger.end()
        await finishedSoon(2)
        expect(world.sidecar!.logs.slice(from)).to.deep.equal([])
    })

    it('is hung up again when its session is ended', async () => {
        const [before] = await listeners()
        await world.sql('select pg_terminate_backend($1)', [before!.pid])
        await until('another session listens', async () => {
            const now = await listeners()
            return now.length === 1 && now[0]!.pid !== before!.pid
        })
        await finishedSoon(3)
    })

    it('loses no set that is committed while its session is away', async () => {
        const client = await world.coordinator.connect(world.login('app'))
        for (let turn = 0; turn < 10; turn++) {
            await until('the sidecar sleeps', asleep)
            const [listener] = await until('a session listens', async () => (await listeners()).length === 1 && listeners())
            await world.sql('select pg_terminate_backend($1)', [listener!.pid])
            const started = Date.now()
            await addRow(world, client)
            await client.query('select pglobalxact.await()')
            expect(Date.now() - started).to.be.below(SOON)
        }
        await client.end()
    })

    it('is hung up again when it is ended again and again', async () => {
        for (let turn = 0; turn < 20; turn++) {
            await world.sql(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pglobalxact sidecar (doorbell)' and datname = current_database()"
            )
        }
        await until('one session listens', async () => (await listeners()).length === 1)
        await finishedSoon(2)
    })

    it('comes back when the coordinator refused its connections for a while', async () => {
        await world.sql('revoke connect on database ' + world.database + ' from public')
        await world.sql('alter database ' + world.database + ' connection limit 0')
        const [before] = await listeners()
        await world.sql('select pg_terminate_backend($1)', [before!.pid])
        await until('it is gone', async () => (await listeners()).length === 0)
        await world.sql('alter database ' + world.database + ' connection limit -1')
        await world.sql('grant connect on database ' + world.database + ' to public')
        await until('one session listens', async () => (await listeners()).length === 1)
        await finishedSoon(2)
    })

    it('that does not answer its own echo is replaced', async () => {
        const sidecar = world.sidecar!
        const [before] = await listeners()
        // A session that lives and hears nothing, as a frozen one would: stopped, with its connection open.
        process.kill(before!.pid, 'SIGSTOP')
        try {
            await sidecar.waitForLog(/doorbell error="?no echo/, 40_000)
            await until('another session listens', async () => (await listeners()).some(({ pid }) => pid !== before!.pid))
            await finishedSoon(2)
        } finally {
            process.kill(before!.pid, 'SIGCONT')
        }
        await until('one session listens', async () => (await listeners()).length === 1)
    })
})
