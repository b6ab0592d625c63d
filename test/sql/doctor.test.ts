import { expect } from 'chai'
import { FINDINGS } from '../../sidecar/findings'
import { startCluster, type Cluster } from '../support/cluster'
import { psql, requirePsql } from '../support/psql'
import { until } from '../support/wait'
import { World } from '../support/world'
import { BOOKS, INSTALLATION, SERVER } from './doctor/coordinator'
import { WAL } from './doctor/wal'
import { LOST, SETTINGS, WAY } from './doctor/nodes'
import { CLOCKS, CONSUMERS, WATCH } from './doctor/parts'
import { BACKLOG, DIRECTORY, DISK, PROCESS, SESSIONS } from './doctor/sidecar'
import { checks, findings, shown, type Row } from './doctor/support'

/** What no test here can provoke, and why. */
const BEYOND: Readonly<Record<string, string>> = {
    'coordinator.version': 'no server before 14 or after 18 is to be had',
    'node.version': 'the same',
    'node.watchful': 'a system on which PostgreSQL cannot watch a client; here it always can',
    'node.connect_timeout': 'a coordinator before 16: test/unit/nodecheck.test.ts',
    'coordinator.in_recovery': 'below, on a standby'
}

describe('doctor()', () => {
    let world: World
    const clusters: Record<string, Cluster> = {}
    before(async function () {
        requirePsql.call(this)
        for (const name of ['a', 'b', 'c']) clusters[name] = await startCluster({ name })
        world = await World.create({ name: 'doctor', proxied: true, clusters })
    })
    after(async () => {
        await world?.destroy()
        for (const cluster of Object.values(clusters)) await cluster.destroy()
    })

    it('finds nothing where all is well, and says how many checks it made', async () => {
        expect(await findings(world)).to.deep.equal([])
        const made = await checks(world)
        const [row, ...more] = await shown(world)
        expect(more).to.deep.equal([])
        expect(row).to.deep.equal({
            severity: 'ok',
            place: 'everywhere',
            finding: 'nothing found',
            why: `${new Set(made.map(({ key, place }) => `${key} ${place}`)).size} checks were made`,
            fix: ''
        })
    })

    it('has a case, provoked for real, for every finding there is', async () => {
        const cases = [
            ...SERVER,
            ...BOOKS,
            ...INSTALLATION,
            ...WAY,
            ...LOST,
            ...WAL,
            ...SETTINGS,
            ...CONSUMERS,
            ...CLOCKS,
            ...WATCH,
            ...PROCESS,
            BACKLOG,
            ...SESSIONS,
            ...DIRECTORY,
            ...DISK
        ]
        const tried = new Set([...cases.map(({ key }) => key), ...Object.keys(BEYOND)])
        const known = new Set([...(await checks(world)).map(({ key }) => key), ...Object.keys(FINDINGS)])
        expect([...tried].sort()).to.deep.equal([...known].sort())
    })

    it('shows the worst first, then by place', async () => {
        await world.sql(
            `alter role app set synchronous_commit = off; revoke pg_signal_backend from pglobalxact; grant select on pglobalxact.forced to public`
        )
        await world.node('b', 'alter role node_app set idle_session_timeout = 60000')
        try {
            expect((await shown(world)).map(({ severity, place }) => `${severity} ${place}`)).to.deep.equal([
                'error coordinator',
                'warning coordinator',
                'advice coordinator',
                'advice node b'
            ])
        } finally {
            await world.sql(
                `alter role app reset synchronous_commit; grant pg_signal_backend to pglobalxact; revoke all on pglobalxact.forced from public`
            )
            await world.node('b', 'alter role node_app reset idle_session_timeout')
        }
    })

    it('asks all nodes at once: a node that is cut off costs its time-out and hides nothing of the others', async () => {
        world.proxies.get('b')!.blackhole()
        await world.node('c', 'alter role node_app set idle_session_timeout = 60000')
        try {
            const found = await findings(world)
            expect(found.map(({ key, place }) => `${key} ${place}`)).to.have.members(['node.unreachable node b', 'node.deadline node c'])
        } finally {
            await world.proxies.get('b')!.restore()
            await world.node('c', 'alter role node_app reset idle_session_timeout')
        }
        await until('all is well again', async () => (await findings(world)).length === 0)
    })

    it('does not wait for a node that answers each question too slowly to be asked them all', async () => {
        world.proxies.get('b')!.delay(900)
        try {
            const found = await findings(world)
            expect(found.map(({ key, place, finding }) => `${key} ${place}: ${finding}`)).to.deep.equal([
                'node.unreachable node b: cannot be reached: no answer within 3000 ms'
            ])
        } finally {
            world.proxies.get('b')!.delay(0)
        }
        await until('all is well again', async () => (await findings(world)).length === 0)
    })

    it('works in a transaction block, in REPEATABLE READ, read-only, and with \\x', async () => {
        const script = `begin isolation level repeatable read read only;
\\x on
select severity, finding from pglobalxact.doctor();
commit;
\\x off
select finding from pglobalxact.doctor();`
        const { stdout, stderr } = await psql(world.coordinator, world.login('watcher'), script, { args: ['-q'] })
        expect(stderr).to.equal('')
        expect(stdout.match(/nothing found/g)).to.have.lengthOf(2)
    })

    it('has patience with what is young', async () => {
        await world.sql(`begin; create table young (); prepare transaction 'young'`)
        await world.node('b', `begin; create table young (); prepare transaction 'young'`)
        const app = await world.connect()
        await world.transfer(app, 1, ['c'])
        expect(await findings(world)).to.deep.equal([])
        expect((await findings(world, '0')).map(({ key, place }) => `${key} ${place}`)).to.have.members([
            'coordinator.foreign_prepared coordinator',
            'node.foreign_prepared node b',
            'coordinator.long_open coordinator'
        ])
        await app.query('rollback')
        await world.sql(`rollback prepared 'young'`)
        await world.node('b', `rollback prepared 'young'`)
    })

    it('changes nothing but the list of requests', async () => {
        // The sidecar notes what it sees meanwhile, asked or not.
        const all = async () =>
            (
                await world.sql(
                    `select c.relname, query_to_xml('select * from ' || c.oid::regclass, false, false, '')::text as rows from pg_class c
                     where c.relnamespace = 'pglobalxact'::regnamespace and c.relkind = 'r' and c.relname not in ('request', 'node_status', 'sidecar', 'event', 'peer') order by 1`
                )
            ).map((row) => row)
        const before = await all()
        await shown(world)
        expect(await all()).to.deep.equal(before)
    })

    it('on a standby says so, and asks nobody', async () => {
        await clusters['a']!.stop()
        const standby = await startCluster({ name: 'a2', copyOf: clusters['a']!, standby: true })
        await clusters['a']!.start()
        try {
            const there = Object.assign(Object.create(world) as World, { coordinator: standby })
            const rows: readonly Row[] = await findings(there)
            const recovery = rows.find(({ key }) => key === 'coordinator.in_recovery')
            expect(recovery).to.include({ severity: 'error', finding: 'the server is a standby' })
            expect(rows.map(({ key }) => key)).to.include('sidecar.not_asked')
            await standby.query('select pg_promote()')
            await until('it is none', async () => !(await findings(there)).some(({ key }) => key === 'coordinator.in_recovery'))
        } finally {
            await standby.destroy()
        }
    })
})
