import { expect } from 'chai'
import type { Client } from 'pg'
import { fillAccounts, refused, value } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'

const UNTOUCHED = { a: 1000, b: 1000, c: 1000 }

describe('exec, when local and remote work come apart', () => {
    let world: World
    let app: Client

    before(async () => {
        world = await World.create({ name: 'savepoints' })
        app = await world.connect()
    })
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await app.query('rollback')
        await world.settled()
    })
    after(() => world?.destroy())

    const pay = (node: string, amount = 10) =>
        value(app, 'select pglobalxact.exec($1, $2)', [node, `update account set balance = balance + ${amount}`])
    const exec = (node: string, sql: string) => value(app, 'select pglobalxact.exec($1, $2)', [node, sql])

    const mismatchAtCommit = (node = 'b') =>
        refused(app.query('commit'), {
            code: '22P02|25P02',
            message: new RegExp(`^set rolled back: node "${node}": the branch does not match the local transaction$`),
            detail: /Work done there was undone here \(ROLLBACK TO SAVEPOINT, or an exception caught after it\)/,
            hint: /^Run the whole transaction again; do not catch errors around exec, and send no COMMIT or ROLLBACK to a node\.$/
        })
    const mismatchAtExec = (work: Promise<unknown>) =>
        refused(work, {
            code: '40000',
            message: /^the branch on node "b" does not match the local transaction$/,
            detail: /ROLLBACK TO SAVEPOINT/,
            hint: /^ROLLBACK and run the whole transaction again/
        })

    describe('ROLLBACK TO SAVEPOINT', () => {
        it('makes COMMIT fail if remote work was done since the savepoint, and nothing is committed anywhere', async () => {
            await app.query('begin')
            await pay('c')
            await pay('b')
            await app.query('savepoint s')
            await pay('b')
            await app.query('rollback to s')
            await mismatchAtCommit()
            expect(await world.balances()).to.deep.equal(UNTOUCHED)
        })

        it('makes the next exec on that node fail', async () => {
            await app.query('begin')
            await pay('b')
            await app.query('savepoint s')
            await pay('b')
            await app.query('rollback to s')
            await mismatchAtExec(pay('b'))
            await app.query('commit') // answers ROLLBACK
            expect(await world.balances()).to.deep.equal(UNTOUCHED)
        })

        it('is harmless if no remote work was done since the savepoint', async () => {
            await world.transfer(app, 10)
            await app.query('savepoint s')
            await app.query('update account set balance = 0')
            await app.query('rollback to s')
            await app.query('commit')
            await app.query('select pglobalxact.await()')
            expect(await world.balances()).to.deep.equal({ a: 980, b: 1010, c: 1010 })
        })

        it('takes a branch out of the set that was first used since the savepoint: its remote work is undone', async () => {
            await app.query('begin')
            await pay('c')
            await app.query('savepoint s')
            await pay('b')
            await app.query('rollback to s')
            await app.query('commit')
            expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
            expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1010 })
            await until('the lock of the undone work is gone', () =>
                world.node('b', `set lock_timeout = 1; update account set balance = 1000 returning 1`)
            )
        })

        it('leaves no set at all if its first use of any node is undone', async () => {
            await app.query('begin')
            await app.query('savepoint s')
            await pay('b')
            const set = await value(app, 'select pglobalxact.set_id()')
            await app.query('rollback to s')
            expect(await value(app, 'select pglobalxact.set_id()')).to.equal(null)
            await app.query('update account set balance = balance - 1')
            await app.query('commit')
            expect(await value(app, 'select pglobalxact.outcome($1)', [set])).to.equal('rolled back')
            expect(await world.balances()).to.deep.equal({ a: 999, b: 1000, c: 1000 })
        })

        it('lets the node be used again after such an undone first use', async () => {
            await app.query('begin')
            await app.query('savepoint s')
            await pay('b', 100)
            await app.query('rollback to s')
            await pay('b', 7)
            await app.query('commit')
            await app.query('select pglobalxact.await()')
            expect(await world.balances()).to.deep.equal({ a: 1000, b: 1007, c: 1000 })
        })

        it('may be released instead: then all of it commits', async () => {
            await app.query('begin')
            await app.query('savepoint s')
            await pay('b')
            await app.query('savepoint t')
            await pay('b')
            await app.query('release s')
            await app.query('commit')
            await app.query('select pglobalxact.await()')
            expect(await world.balances()).to.include({ b: 1020 })
        })
    })

    describe('an exception caught around exec in PL/pgSQL', () => {
        const caught = (node: string, sql: string) =>
            app.query(`do $do$
      begin
        perform pglobalxact.exec('${node}', $sql$${sql}$sql$);
        raise exception 'oops';
      exception when others then null;
      end $do$`)

        it('makes COMMIT fail if the node had done work before', async () => {
            await app.query('begin')
            await pay('b')
            await caught('b', 'update account set balance = balance + 10')
            await mismatchAtCommit()
            expect(await world.balances()).to.deep.equal(UNTOUCHED)
        })

        it('makes COMMIT fail also if it was the node that failed', async () => {
            await app.query('begin')
            await pay('b')
            await pay('c')
            await caught('b', 'update account set balance = -1')
            await mismatchAtCommit()
            expect(await world.balances()).to.deep.equal(UNTOUCHED)
        })

        it('makes the next exec fail if it was the node that failed', async () => {
            await app.query('begin')
            await pay('b')
            await caught('b', 'update account set balance = -1')
            await mismatchAtExec(pay('b'))
        })

        it('undoes the remote work if that was the first use of the node', async () => {
            await app.query('begin')
            await pay('c')
            await caught('b', 'update account set balance = balance + 10')
            await caught('b', 'update account set balance = -1')
            await app.query('commit')
            await app.query('select pglobalxact.await()')
            expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1010 })
        })
    })

    describe('a COMMIT or ROLLBACK smuggled to a node', () => {
        before(() =>
            world.node(
                'b',
                `
      create procedure finish_early(how text) language plpgsql as $$ begin if how = 'commit' then commit; else rollback; end if; end $$;
      create function finish_early() returns void language plpgsql as $$ begin commit; end $$`
            )
        )

        // PostgreSQL itself allows no transaction control inside a transaction block, and a branch is one.
        for (const sql of [
            `do 'begin commit; end'`,
            `do 'begin rollback; end'`,
            `call finish_early('commit')`,
            `call finish_early('rollback')`,
            `do 'begin perform finish_early(); end'`,
            `do 'begin call finish_early(''commit''); end'`
        ]) {
            it(`inside a block or procedure fails there: ${sql}`, async () => {
                await app.query('begin')
                await pay('b')
                await refused(exec('b', sql), { code: '2D000', message: /^invalid transaction termination$/ })
                await app.query('commit') // answers ROLLBACK
                expect(await world.balances()).to.deep.equal(UNTOUCHED)
            })
        }

        it('behind an odd comment is refused before it is sent', async () => {
            await app.query('begin')
            await refused(exec('b', 'update account set balance = 5 /* /* */ $$ */; commit --$$'), {
                code: '2D000',
                message: /^COMMIT cannot be run/
            })
        })

        describe('that the look at the statement let through', () => {
            // The step check stands behind that look, and has to be seen without it.
            before(() =>
                world.sql(`create or replace function pglobalxact._check_statement(sql text) returns void language sql immutable as ''`)
            )
            after(() => world.install())

            const hidden = (command: string) => `update account set balance = balance + 5 /* /* */ $$ */; ${command} --$$`

            it('is noticed before anything else commits', async () => {
                for (const command of ['rollback', 'commit', 'commit; begin']) {
                    await app.query('begin')
                    await app.query('update account set balance = balance - 5')
                    await pay('c', 5)
                    await exec('b', hidden(command))
                    await mismatchAtCommit()
                    // The COMMIT has been carried out on b, and only there.
                    expect(await world.balances()).to.deep.equal({ a: 1000, b: command === 'rollback' ? 1000 : 1005, c: 1000 })
                    await fillAccounts(world)
                }
            })

            it('is noticed by the next exec too', async () => {
                await app.query('begin')
                await exec('b', hidden('rollback; begin'))
                await mismatchAtExec(pay('b'))
                await app.query('commit') // answers ROLLBACK
                expect(await world.balances()).to.deep.equal(UNTOUCHED)
            })

            const gidOnB = async (session: Client) => {
                const [row] = await world.sql<{ start: string; number: number }>(
                    `select 'pgx_' || c.id as start, n.number from pglobalxact.coordinator c, pglobalxact.node n where n.name = 'b'`
                )
                return `${row!.start}_${String(await value(session, 'select pglobalxact.set_id()'))}_${row!.number}`
            }

            it('is noticed even if it prepares the branch under its own gid, which is then rolled back', async () => {
                await app.query('begin')
                await pay('b')
                const gid = await gidOnB(app)
                await exec('b', hidden(`prepare transaction '${gid}'`))
                expect(await world.prepared()).to.deep.equal([gid])
                await mismatchAtCommit()
                await until('the branch is rolled back', async () => (await world.prepared()).length === 0)
                expect(await world.balances()).to.deep.equal(UNTOUCHED)
            })
        })
    })
})
