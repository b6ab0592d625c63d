import { expect } from 'chai'
import type { Client } from 'pg'
import { fillAccounts, refused, value } from '../support/refused'
import { PASSWORDS, World } from '../support/world'

const UNTOUCHED = { a: 1000, b: 1000, c: 1000 }

describe('enlist, for a program with its own connection to a node', () => {
    let world: World
    let app: Client
    let program: Client

    before(async () => {
        world = await World.create({ name: 'enlist' })
        app = await world.connect()
        program = await world.nodes.get('b')!.connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
    })
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await app.query('rollback')
        await app.query('reset all')
        await program.query('rollback')
        await world.settled()
    })
    after(async () => {
        await program.end()
        await world?.destroy()
    })

    const enlist = async (node = 'b') => String(await value(app, 'select pglobalxact.enlist($1)', [node]))
    const work = async () => {
        await program.query('begin')
        await program.query('update account set balance = balance + 10')
    }
    const prepare = (gid: string) => program.query(`prepare transaction '${gid}'`)
    const notPrepared = (gid: string) =>
        refused(app.query('commit'), {
            code: '55000',
            message: new RegExp(`^set rolled back: node "b": transaction "${gid}" is not prepared there$`),
            hint: /^Run PREPARE TRANSACTION with the gid from pglobalxact\.enlist\(\) on the node, and see that it answers PREPARE TRANSACTION, before the local COMMIT\.$/
        })

    it('commits what the program prepared, with the local transaction and other branches', async () => {
        await app.query('begin')
        await app.query('update account set balance = balance - 20')
        await app.query(`select pglobalxact.exec('c', 'update account set balance = balance + 10')`)
        const gid = await enlist()
        expect(gid).to.match(/^pgx_[0-9a-f]{8}_\d+_[0-9a-f]{8}_\d+$/)
        expect(gid).to.contain(String(await value(app, 'select pglobalxact.set_id()')))
        await work()
        expect((await prepare(gid)).command).to.equal('PREPARE')
        await app.query('commit')
        expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
        expect(await world.balances()).to.deep.equal({ a: 980, b: 1010, c: 1010 })
    })

    it('rolls back what the program prepared when the local transaction rolls back', async () => {
        await app.query('begin')
        const gid = await enlist()
        await work()
        await prepare(gid)
        expect(await world.prepared()).to.deep.equal([gid])
        await app.query('rollback')
        await world.settled()
        expect(await world.balances()).to.deep.equal(UNTOUCHED)
    })

    it('gives the same gid when called again in the same set', async () => {
        await app.query('begin')
        expect(await enlist()).to.equal(await enlist())
    })

    it('refuses COMMIT when the program forgot to prepare, and nothing is committed', async () => {
        await app.query('begin')
        await app.query('update account set balance = balance - 10')
        const gid = await enlist()
        await work()
        await notPrepared(gid)
        await program.query('rollback')
        expect(await world.balances()).to.deep.equal(UNTOUCHED)
    })

    it("refuses COMMIT when the program's PREPARE TRANSACTION answered ROLLBACK", async () => {
        await app.query('begin')
        await app.query(`select pglobalxact.exec('c', 'update account set balance = balance + 10')`)
        const gid = await enlist()
        await work()
        await program.query('update account set balance = -1').catch(() => undefined)
        expect((await prepare(gid)).command).to.equal('ROLLBACK')
        await notPrepared(gid)
        expect(await world.prepared()).to.deep.equal([])
        expect(await world.balances()).to.deep.equal(UNTOUCHED)
    })

    it('refuses COMMIT when the program prepared under another gid, which is left to it', async () => {
        await app.query('begin')
        const gid = await enlist()
        await work()
        await prepare('my own')
        await notPrepared(gid)
        expect(await world.node('b', `select gid from pg_prepared_xacts where database = current_database()`)).to.deep.equal([
            { gid: 'my own' }
        ])
        await program.query(`rollback prepared 'my own'`)
    })

    it("takes the program's word with pglobalxact.verify_enlisted = off", async () => {
        await app.query('set pglobalxact.verify_enlisted = off')
        await app.query('begin')
        await app.query('update account set balance = balance - 10')
        const gid = await enlist()
        await work()
        await prepare(gid)
        await app.query('commit')
        expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
        expect(await world.balances()).to.deep.equal({ a: 990, b: 1010, c: 1000 })
        expect(
            await world.node(
                'b',
                `select from pg_stat_activity where application_name like 'pgx%_' || ${(await value(app, 'select pg_backend_pid()')) as number}`
            )
        ).to.deep.equal([])
    })

    it('with verify_enlisted = off commits a set whose branch was never prepared, and calls its fate unknown', async () => {
        await app.query('set pglobalxact.verify_enlisted = off')
        await app.query('begin')
        await app.query('update account set balance = balance - 10')
        await enlist()
        await app.query('commit')
        const set = await value(app, `select current_setting('pglobalxact.last_set')`)
        expect(await value(app, 'select pglobalxact.await()')).to.equal('unknown')
        expect(await world.admin('select outcome from pglobalxact.sets()')).to.deep.equal([{ outcome: 'unknown' }])
        expect(await world.balances()).to.deep.equal({ ...UNTOUCHED, a: 990 })
        await world.admin(`select pglobalxact.acknowledge($1, 'the test meant it')`, [set])
    })

    it('can be switched off for one transaction only', async () => {
        await app.query('begin')
        await app.query('set local pglobalxact.verify_enlisted = off')
        await work()
        await prepare(await enlist())
        await app.query('commit')
        await world.settled()
        expect(await world.balances()).to.include({ b: 1010 })
        await app.query('begin')
        await notPrepared(await enlist())
    })

    it('refuses to mix exec and enlist on one node in one set', async () => {
        const mixed = {
            code: '55000',
            message: /^this transaction already has a branch on node "b" under another role or by other means$/,
            hint: /^A set has one branch per node: use it as one role, through exec and query or through enlist\.$/
        }
        await app.query('begin')
        await enlist()
        await refused(app.query(`select pglobalxact.exec('b', 'update account set balance = 1')`), mixed)
        await app.query('rollback')
        await app.query('begin')
        await app.query(`select pglobalxact.exec('b', 'update account set balance = 1')`)
        await refused(enlist(), mixed)
    })

    it('does not leave the program waiting for what the session left open with exec', async () => {
        for (const last of ['update account set balance = balance + 1', 'update account set balance = -1']) {
            await app.query('begin')
            await app.query(`select pglobalxact.exec('b', 'update account set balance = balance + 1')`)
            await app.query('select pglobalxact.exec($1, $2)', ['b', last]).catch(() => undefined)
            await app.query('rollback')
            await app.query('begin')
            const gid = await enlist()
            await program.query(`set statement_timeout = '5s'`)
            await work()
            await prepare(gid)
            await app.query('commit')
            expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
        }
        expect(await world.balances()).to.include({ b: 1020 })
    })

    it("works again at once after the node has ended the session's connections", async () => {
        await app.query('begin')
        await enlist()
        await app.query('rollback')
        await world.node(
            'b',
            `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and application_name like 'pgx%' and usename = 'node_app'`
        )
        await app.query('begin')
        const gid = await enlist()
        await work()
        await prepare(gid)
        await app.query('commit')
        expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
    })

    it('is undone with a savepoint: what the program prepared is rolled back, the rest commits', async () => {
        await app.query('begin')
        await app.query(`select pglobalxact.exec('c', 'update account set balance = balance + 10')`)
        await app.query('savepoint s')
        const gid = await enlist()
        await work()
        await prepare(gid)
        await app.query('rollback to s')
        await app.query('commit')
        await world.settled()
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1010 })
    })
})
