import { hostname } from 'node:os'
import { expect } from 'chai'
import { startSidecar } from '../support/process'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, failure, newStateDir } from './common'

describe('status() of the sidecar', () => {
    let world: World
    before(async () => {
        world = await World.create({ name: 'status', bare: true })
    })
    after(() => world.destroy())

    const status = async (): Promise<Record<string, unknown>> =>
        (
            await world.admin(
                "select sidecar, note, host, pid, version, home, state_directory, state_sets, state_bytes::int, coordinator, running_for < interval '1 minute' as fresh, last_seen < interval '20 seconds' as seen from pglobalxact.status()"
            )
        )[0]!

    const CALLS = [
        'select * from pglobalxact.recover()',
        "select * from pglobalxact.retry('1_00000000')",
        'select * from pglobalxact.state_lines()',
        "select * from pglobalxact.force_commit('1_00000000', reason => 'x')",
        "select * from pglobalxact.force_rollback('1_00000000', reason => 'x')",
        "select * from pglobalxact.lose_node('b')",
        "select * from pglobalxact.forget('1_00000000')",
        "select pglobalxact.acknowledge('1_00000000', 'x')",
        "select * from pglobalxact.add_node('b')",
        "select * from pglobalxact.check_node('b')"
    ]

    it('says that it was never started, and every call that needs it fails at once and queues nothing', async () => {
        expect(await status()).to.include({
            sidecar: 'never started',
            home: null,
            note: 'start it next to this server: npx pglobalxact run --state-dir DIR'
        })
        for (const call of CALLS) {
            const started = Date.now()
            const error = await failure(world.admin(call))
            expect(Date.now() - started, call).to.be.below(1000)
            expect(error, call).to.include({
                code: '55000',
                message: 'no sidecar is running for this coordinator: nothing was done',
                detail: 'None has ever connected to this database.',
                hint: 'Start it next to this server: npx pglobalxact run --state-dir DIR'
            })
        }
        expect(await world.sql('select from pglobalxact.request')).to.deep.equal([])
    })

    it('says that it acts, where, since when and with what', async () => {
        const sidecar = await world.startSidecar()
        const home = / home=([0-9a-f]{16})$/.exec(await sidecar.waitForLog(/ acting /))![1]
        const [coordinator] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
        expect(await status()).to.deep.equal({
            sidecar: 'acting',
            note: 'acting',
            host: hostname(),
            pid: sidecar.pid,
            version: '0.1.0',
            home,
            state_directory: world.stateDir,
            state_sets: 0,
            state_bytes: 0,
            coordinator: coordinator!.id,
            fresh: true,
            seen: true
        })
        for (const name of ['b', 'c']) await world.admin(`select * from pglobalxact.add_node('${name}')`)
    })

    it('is told one line per event, each with time and level', async () => {
        const client = await world.connect()
        await addRow(world, client)
        await client.query('select pglobalxact.await()')
        await failure(world.admin("select * from pglobalxact.retry('1_00000000')"))
        for (const line of world.sidecar!.logs) expect(line).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warning|error) \S/)
        expect(world.sidecar!.logs.filter((line) => / acting /.test(line))).to.have.lengthOf(1)
    })

    it('tells what is in the state files', async () => {
        const client = await world.connect()
        await client.query('begin')
        await client.query("select pglobalxact.exec('c', 'insert into account values (5, 5)')")
        const gid = (await client.query<{ gid: string }>("select pglobalxact.enlist('b') as gid")).rows[0]!.gid
        // Prepared on b by a role that the sidecar is no member of: that branch must wait.
        await world.node('b', `begin; insert into account values (6, 6); prepare transaction '${gid}'`)
        await client.query('commit')
        await until('the set is in the state files', async () => (await status())['state_sets'] === 1)
        expect((await status())['state_bytes']).to.be.greaterThan(300)
        await world.node('b', `commit prepared '${gid}'`)
        await world.settled()
        await until('and out of them', async () => (await status())['state_sets'] === 0)
    })

    it('says that a sidecar with an unknown home waits, and for what', async () => {
        await world.sidecar!.stop()
        const other = startSidecar({ stateDir: newStateDir(), databaseUrl: world.sidecarUrl })
        await other.waitForLog(/is not allowed to act/)
        const found = await status()
        expect(found).to.include({ sidecar: 'waiting', pid: other.pid, seen: true })
        expect(found['note']).to.match(
            /^home [0-9a-f]{16} is not allowed to act for this coordinator:\nthis is either a new host .*select pglobalxact\.adopt\('reason'\).*\nor a copy of the database/
        )
        const error = await failure(world.admin('select * from pglobalxact.recover()'))
        expect(error.code).to.equal('55000')
        expect(error.detail).to.match(/^The last one to connect \(host .*, pid \d+\) does not act: home .* is not allowed/)
        await other.stop()
    })

    it('says that it is not running, when it was last seen, and that decided sets are safe', async () => {
        const sidecar = await world.startSidecar()
        await sidecar.kill()
        await until('its session is gone', async () => (await status())['sidecar'] === 'not running')
        expect(await status()).to.include({
            sidecar: 'not running',
            note: 'decided sets wait, and are safe: start it with npx pglobalxact run --state-dir DIR',
            pid: sidecar.pid,
            seen: true
        })
        for (const call of CALLS) {
            const error = await failure(world.admin(call))
            expect(error.code, call).to.equal('55000')
            expect(error.detail, call).to.match(
                new RegExp(`^The last one \\(host ${hostname()}, pid ${sidecar.pid}\\) was seen 00:00:\\d\\d ago\\.$`)
            )
        }
        expect(await world.sql('select from pglobalxact.request where finished_at is null')).to.deep.equal([])
        await world.startSidecar()
    })

    it('fails a call whose sidecar dies before it answers, and the next sidecar closes the request', async () => {
        const sidecar = world.sidecar!
        sidecar.pause()
        const call = failure(world.admin('select * from pglobalxact.recover()'))
        await until(
            'the request is entered',
            async () => (await world.sql('select from pglobalxact.request where finished_at is null')).length === 1
        )
        await world.sql('update pglobalxact.request set taken_at = now() where finished_at is null')
        await sidecar.kill()
        const error = await call
        expect(error.code).to.equal('55000')
        expect(error.message).to.match(/^the sidecar stopped before it answered request \d+$/)
        expect(error.hint).to.match(/pglobalxact\.sets\(\)/)
        await world.startSidecar()
        const [last] = await world.admin<{ answer: string; kind: string }>('select answer, kind from pglobalxact.requests() limit 1')
        expect(last).to.deep.equal({ kind: 'recover', answer: 'the sidecar was restarted before it answered' })
    })
})
