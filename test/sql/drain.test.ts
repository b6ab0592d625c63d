/** drain(): says "drained" only when no set is open, none can begin, and no node that answers has a branch left. */
import { expect } from 'chai'
import type { Client } from 'pg'
import { PsqlSession } from '../support/psql'
import { refused, value } from '../support/refused'
import { until } from '../support/wait'
import { PASSWORDS, type World } from '../support/world'
import { drainWorld } from './drain/support'

describe('drain', () => {
    let world: World
    let app: Client
    const { session, typed, draining, pid, commit, paused } = drainWorld('drain', (made, client) => {
        world = made
        app = client
    })

    it('with nothing open is done at once, and leaves the pause in effect', async () => {
        expect(await typed('select pglobalxact.drain();')).to.equal('drained\n')
        await refused(commit(), { code: '55000', message: /^pglobalxact is paused since \S+ \S+: maintenance \(by dba\)$/ })
        await app.query('rollback')
        expect(await typed(`select pglobalxact.drain('1 minute', 'ticket 4711');`)).to.equal('drained\n')
        expect(await world.sql('select pause_reason from pglobalxact.coordinator')).to.deep.equal([{ pause_reason: 'maintenance' }])
    })

    it('waits for a set in flight, says for which, and ends when that does', async () => {
        for (const end of ['commit', 'rollback']) {
            await world.transfer(app)
            const { notices, answer } = await draining()
            await until('it says what it waits for', () => notices.length > 0)
            expect(notices).to.deep.equal([`waiting for 1 set: 1 in flight (pid ${await pid(app)} app for 00:00:00)`])
            await app.query(end)
            expect(await answer).to.equal('drained')
            expect(await world.prepared()).to.deep.equal([])
            expect(await world.sql(`select from pg_locks where locktype = 'advisory' and classid = x'70677831'::int::oid`)).to.deep.equal(
                []
            )
            await world.admin('select pglobalxact.resume()')
        }
    })

    it('gives up after its time on a session that is idle in its transaction, names it, and leaves the pause in effect', async () => {
        const set = await world.transfer(app)
        expect(await typed(`select pglobalxact.drain('1 second');`)).to.match(
            new RegExp(
                `^NOTICE: {2}waiting for 1 set: 1 in flight \\(pid \\d+ app for 00:00:0\\d\\)\nERROR: {2}not drained after 00:00:01\n` +
                    `DETAIL: {2}Open: 1 set: 1 in flight \\(pid ${await pid(app)} app for 00:00:0\\d\\)\\.\nThe pause stays in effect\\.\n` +
                    `HINT: {2}See: select \\* from pglobalxact\\.sets\\(\\);.*select pglobalxact\\.resume\\(\\);\n$`
            )
        )
        expect(await paused()).to.equal(true)
        await world.admin('select * from pglobalxact.force_rollback($1, reason => $2, confirm => $3)', [set, 'maintenance', 'yes'])
        expect(await typed(`select pglobalxact.drain('20 seconds');`)).to.equal('drained\n')
    })

    it('tells at most once a second, only what changed, and five sessions at most', async () => {
        const busy = await Promise.all(Array.from({ length: 7 }, () => session()))
        for (const client of busy) await client.query(`begin; select pglobalxact.exec('b', 'set local a.b = 1')`)
        const { notices, answer } = await draining()
        const started = Date.now()
        await until('it says so', () => notices.length === 1)
        expect(notices[0]).to.match(/^waiting for 7 sets: 7 in flight \((pid \d+ app for 00:00:0\d, ){5}…\)$/)
        await until('two and a half seconds have passed', () => Date.now() - started > 2500)
        expect(notices).to.have.length(1)
        for (const client of busy) {
            const before = Date.now()
            await client.query('rollback')
            await until('some time has passed', () => Date.now() - before > 150)
        }
        expect(await answer).to.equal('drained')
        expect(notices.length).to.be.within(2, 3)
    })

    it('works in a transaction block, in REPEATABLE READ, and read only', async () => {
        for (const begin of ['begin', 'begin isolation level repeatable read', 'begin isolation level serializable read only']) {
            await world.transfer(app)
            const client = await session('dba')
            await client.query(`${begin}; select 1 from pg_class limit 1`)
            const answer = value(client, `select pglobalxact.drain('20 seconds')`)
            await until('it has paused', paused)
            await app.query('commit')
            expect(await answer).to.equal('drained')
            await client.query('rollback')
            expect(await paused()).to.equal(true)
            await world.admin('select pglobalxact.resume()')
        }
    })

    it('is not fooled by a database whose transactions are serializable and read only by default', async () => {
        await world.sql(`alter database ${world.database} set default_transaction_isolation = 'serializable'`)
        await world.sql(`alter database ${world.database} set default_transaction_read_only = on`)
        try {
            app = await session()
            await app.query('begin read write')
            await app.query('update account set balance = balance + 1')
            await app.query(`select pglobalxact.exec('b', 'update account set balance = balance + 1')`)
            const { notices, answer } = await draining()
            await until('it waits', () => notices.length > 0)
            world.sidecar!.pause()
            await app.query('commit')
            await until('it sees the commit', () => notices.some((notice) => /^waiting for 1 set: 1 unfinished on node b$/.test(notice)))
            world.sidecar!.resume()
            expect(await answer).to.equal('drained')
        } finally {
            const client = await world.coordinator.connect()
            await client.query(`set default_transaction_read_only = off; alter database ${world.database} reset all`)
            await client.end()
        }
    })

    it('refuses to wait for its own transaction', async () => {
        await world.sql('grant pglobalxact_user to dba; grant usage on foreign server b to dba')
        await world.sql(`create user mapping if not exists for dba server b options (user 'node_app', password '${PASSWORDS.node_app}')`)
        const dba = await session('dba')
        await dba.query(`begin; select pglobalxact.exec('b', 'set local a.b = 1')`)
        await refused(dba.query('select pglobalxact.drain()'), {
            code: '55000',
            message: /^this transaction has a set of its own/,
            hint: /^COMMIT or ROLLBACK first/
        })
        expect(await paused()).to.equal(false)
        await dba.query('rollback')
        await world.sql('revoke pglobalxact_user from dba') // a role is the whole cluster's
    })

    it('needs a reason and a timeout', async () => {
        await refused(world.admin(`select pglobalxact.drain(reason => ' ')`), { code: '22023', message: /^a reason is needed/ })
        await refused(world.admin('select pglobalxact.drain(null)'), { code: '22023', message: /^a timeout is needed/ })
        expect(await paused()).to.equal(false)
        await world.transfer(app)
        await refused(world.admin(`select pglobalxact.drain('-1 day')`), { code: '55000', message: /^not drained after -1 days$/ })
        await app.query('rollback')
    })

    describe('interrupted', () => {
        it('by Ctrl-C or statement_timeout gives the prompt back, leaves no connection, and the pause in effect', async () => {
            await world.transfer(app)
            const terminal = await PsqlSession.open(world.coordinator, world.login('dba'), ['-A', '-t'])
            const loopbacks = () =>
                world.sql(`select from pg_stat_activity where datname = current_database() and usename like 'pglobalxact_loopback_%'`)
            try {
                const answer = terminal.send('select pglobalxact.drain();')
                await until('it waits', async () => (await paused()) && (await loopbacks()).length > 0)
                terminal.interrupt()
                expect(await answer).to.match(/ERROR: {2}canceling statement due to user request/)
                await until('no connection is left', async () => (await loopbacks()).length === 0)
                expect(await terminal.send(`set statement_timeout = '300ms'; select pglobalxact.drain();`)).to.match(
                    /ERROR: {2}canceling statement due to statement timeout/
                )
                expect(await paused()).to.equal(true)
                await until('no connection is left', async () => (await loopbacks()).length === 0)
            } finally {
                await terminal.close()
            }
        })
    })

    describe('without help', () => {
        it('fails at once when no sidecar runs, says what is open, and leaves the pause in effect', async () => {
            await world.sidecar!.kill()
            const hint = /^Start the sidecar and drain again .*select pglobalxact\.resume\(\);$/
            await refused(world.admin('select pglobalxact.drain()'), {
                code: '55000',
                message: /^not drained: no sidecar is running/,
                detail: /^No set is open here; the pause stays in effect\.$/,
                hint
            })
            expect(await paused()).to.equal(true)
            await world.admin('select pglobalxact.resume()')
            await commit()
            await refused(world.admin('select pglobalxact.drain()'), {
                code: '55000',
                message: /^not drained: no sidecar is running/,
                detail: /^Open: 1 set: 1 unfinished on node b, 1 unfinished on node c\.\nThe pause stays in effect\.$/,
                hint
            })
            await world.startSidecar()
            expect(await value(await session('dba'), 'select pglobalxact.drain()')).to.equal('drained')
        })

        it('fails when the sidecar dies meanwhile, and in time when it stands still', async () => {
            await world.transfer(app)
            const { notices, answer } = await draining()
            await until('it waits', () => notices.length > 0)
            await world.sidecar!.kill()
            await refused(answer, { code: '55000', message: /^not drained: no sidecar is running/ })
            await app.query('rollback')
            const sidecar = await world.startSidecar()
            sidecar.pause()
            await refused(world.admin(`select pglobalxact.drain('1 second')`), {
                code: '55000',
                message: /^not drained after 00:00:01$/,
                detail: /^No set is open here, but the sidecar has not said yet/
            })
        })

        it('fails when someone ends the pause meanwhile, also if someone else begins another', async () => {
            await world.transfer(app)
            for (const then of ['select pglobalxact.resume()', `select pglobalxact.resume(); select pglobalxact.pause('other')`]) {
                const { notices, answer } = await draining()
                await until('it waits', () => notices.length > 0)
                const admin = await session('dba')
                await admin.query(then)
                await refused(answer, { code: '55000', message: /^not drained: the pause was ended meanwhile/ })
                await admin.query('select pglobalxact.resume()')
            }
            await app.query('rollback')
        })
    })
})
