import { expect } from 'chai'
import type { Client } from 'pg'
import { fillAccounts, refused, value } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'

describe('exec', () => {
    let world: World
    let app: Client

    before(async () => {
        world = await World.create({ name: 'exec' })
        app = await world.connect()
    })
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await app.query('rollback')
        await world.settled()
    })
    after(() => world?.destroy())

    const pay = (node: string, amount: number) =>
        value(app, 'select pglobalxact.exec($1, $2)', [node, `update account set balance = balance + ${amount}`])
    const landed = async () => {
        await app.query('select pglobalxact.await()')
        return world.balances()
    }

    it('commits a transfer on all three servers', async () => {
        await world.transfer(app, 10)
        await app.query('commit')
        expect(await landed()).to.deep.equal({ a: 980, b: 1010, c: 1010 })
    })

    it('shows nothing on any server before COMMIT, and nothing ever after ROLLBACK', async () => {
        const set = await world.transfer(app, 10)
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
        await app.query('rollback')
        expect(await value(app, 'select pglobalxact.outcome($1)', [set])).to.equal('rolled back')
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
    })

    it('rolls back on all servers when one node refuses the statement', async () => {
        await app.query('begin')
        await app.query('update account set balance = balance - 10')
        await pay('b', 10)
        await refused(pay('c', -5000), { code: '23514', message: /violates check constraint "account_balance_check"/ })
        await app.query('commit') // answers ROLLBACK
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
    })

    it('rolls back on all servers when one node refuses to prepare', async () => {
        await world.node(
            'c',
            `create table once (n int constraint once_only unique deferrable initially deferred);
      insert into once values (1); grant all on once to node_app`
        )
        await app.query('begin')
        await app.query('update account set balance = balance - 10')
        await pay('b', 10)
        await value(app, `select pglobalxact.exec('c', 'insert into once values (1)')`)
        await refused(app.query('commit'), {
            code: '23505',
            message: /^set rolled back: node "c": duplicate key value violates unique constraint "once_only"/,
            detail: /Key \(n\)=\(1\) already exists/,
            hint: /^Nothing was committed on any node/
        })
        expect(await world.prepared()).to.deep.equal([])
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
    })

    it('rolls back the prepared branches when the local COMMIT itself fails behind them', async () => {
        await app.query(`create table pair (n int constraint pair_unique unique deferrable initially deferred)`)
        await app.query('begin')
        await pay('b', 10)
        await app.query('insert into pair values (1), (1)')
        await refused(app.query('commit'), { code: '23505', message: /pair_unique/ })
        await until('the branch is rolled back', async () => (await world.prepared()).length === 0)
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
    })

    it('says which things PostgreSQL cannot prepare', async () => {
        await app.query('begin')
        await pay('b', 10)
        await value(app, `select pglobalxact.exec('c', 'create temp table draft (n int)')`)
        await refused(app.query('commit'), {
            code: '0A000',
            message: /^set rolled back: node "c": cannot PREPARE a transaction that has operated on temporary objects/,
            hint: /temporary objects, NOTIFY, or WITH HOLD cursors: leave them out/
        })
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
    })

    it('runs several sets one after another in one session', async () => {
        const sets = new Set<string>()
        for (const amount of [1, 2, 3]) {
            sets.add(await world.transfer(app, amount, ['b']))
            await app.query('commit')
        }
        await world.transfer(app, 100, ['c'])
        await app.query('rollback')
        sets.add(await world.transfer(app, 4, ['c']))
        await app.query('commit')
        await world.settled()
        expect(sets.size).to.equal(4)
        expect(await world.balances()).to.deep.equal({ a: 990, b: 1006, c: 1004 })
    })

    it('is a set of its own outside a transaction block', async () => {
        expect(await pay('b', 7)).to.equal('UPDATE 1')
        expect(await landed()).to.include({ b: 1007 })
    })

    it('returns the command tag of the last statement', async () => {
        await app.query('begin')
        const tag = (sql: string) => value(app, `select pglobalxact.exec('b', $1)`, [sql])
        expect(await tag('create table tag (n int)')).to.equal('CREATE TABLE')
        expect(await tag('insert into tag values (1), (2), (3)')).to.equal('INSERT 0 3')
        expect(await tag('update tag set n = 0 where n = 5')).to.equal('UPDATE 0')
        expect(await tag('insert into tag values (4); delete from tag')).to.equal('DELETE 4')
        await app.query('rollback')
    })

    it('works inside a PL/pgSQL function', async () => {
        await app.query(`create function transfer(amount int) returns text language plpgsql as $$
      begin
        update account set balance = balance - 2 * amount;
        perform pglobalxact.exec(node, format('update account set balance = balance + %s', amount)) from unnest(array['b', 'c']) node;
        return pglobalxact.set_id();
      end $$`)
        expect(await value(app, 'select transfer(10)')).to.match(/^\d+_[0-9a-f]{8}$/)
        expect(await landed()).to.deep.equal({ a: 980, b: 1010, c: 1010 })
    })

    it('makes one set of each part of a procedure with COMMIT inside', async () => {
        await app.query(`create procedure twice() language plpgsql as $$
      begin
        perform pglobalxact.exec('b', 'update account set balance = balance + 10');
        commit;
        perform pglobalxact.exec('c', 'update account set balance = balance + 20');
        rollback;
        perform pglobalxact.exec('c', 'update account set balance = balance + 30');
      end $$`)
        await app.query('call twice()')
        await world.settled()
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1010, c: 1030 })
    })

    for (const level of ['read committed', 'repeatable read', 'serializable']) {
        it(`works on the nodes in the local isolation level ${level}`, async () => {
            await app.query(`begin isolation level ${level}`)
            const seen = `select level from pglobalxact.query('b', 'select current_setting(''transaction_isolation'')') as t (level text)`
            expect(await value(app, seen)).to.equal(level)
            await pay('c', 1)
            expect(await value(app, seen.replace(`'b'`, `'c'`))).to.equal(level)
            await app.query('commit')
            expect(await landed()).to.include({ b: 1000, c: 1001 })
        })
    }

    it('reads what PREPARE TRANSACTION answered: in an aborted transaction that is ROLLBACK, and no error', async () => {
        // Where a set prepares, the check before it in the same round trip fails first; so the reading is tried by itself.
        const superuser = await world.coordinator.connect({ database: world.database })
        const { host, port, password } = world.nodes.get('b')!
        const read = `select pglobalxact._read_tag('t', 'PREPARE TRANSACTION')`
        try {
            await superuser.query(
                `select dblink_connect('t', 'host=${host} port=${port} user=postgres password=${password} dbname=${world.database}')`
            )
            await superuser.query(
                `select dblink_exec('t', 'begin'), dblink_exec('t', 'bogus', false), dblink_send_query('t', 'prepare transaction ''x''')`
            )
            await refused(superuser.query(read), {
                code: '25P02',
                message: /^the remote transaction had failed: PREPARE TRANSACTION answered ROLLBACK$/
            })
            await superuser.query(`select * from dblink_get_result('t', false) as t (tag text)`)
            await superuser.query(`select dblink_exec('t', 'begin'), dblink_send_query('t', 'prepare transaction ''x''')`)
            await superuser.query(read)
            await superuser.query(`select dblink_exec('t', 'rollback prepared ''x''')`)
        } finally {
            await superuser.end()
        }
    })

    it('raises synchronous_commit from off to on for a transaction with a set, and for no other', async () => {
        // A deferred trigger of the user's own, queued behind the set's, sees what the local COMMIT will run with.
        await app.query(`
      create table seen (n serial, synchronous_commit text);
      create function look() returns trigger language plpgsql as $$
        begin update seen set synchronous_commit = current_setting('synchronous_commit') where n = new.n; return null; end $$;
      create constraint trigger look after insert on seen deferrable initially deferred for each row execute function look()`)
        await app.query('set synchronous_commit = off')
        await app.query('begin')
        await pay('b', 1)
        await app.query('insert into seen default values')
        await app.query('commit')
        await app.query('insert into seen default values')
        expect((await app.query('select synchronous_commit as s from seen order by n')).rows).to.deep.equal([{ s: 'on' }, { s: 'off' }])
        expect(await value(app, 'show synchronous_commit')).to.equal('off')
        await app.query('reset synchronous_commit')
    })
})
