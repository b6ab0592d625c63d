import { expect } from 'chai'
import type { Client } from 'pg'
import { fillAccounts, refused, value } from '../support/refused'
import { World } from '../support/world'

describe('exec given bad SQL', () => {
    let world: World
    let app: Client

    before(async () => {
        world = await World.create({ name: 'badsql' })
        app = await world.connect()
        await world.node('b', `create table words (word text); grant all on words to node_app`)
    })
    beforeEach(async () => {
        await fillAccounts(world)
        await app.query('begin')
        await app.query('update account set balance = balance - 10')
    })
    afterEach(async () => {
        await app.query('rollback')
        await world.settled()
    })
    after(() => world?.destroy())

    const exec = (sql: string | null) => value(app, 'select pglobalxact.exec($1, $2)', ['b', sql])
    const nothingChanged = async () => {
        await app.query('commit') // answers ROLLBACK
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
        expect(await world.node('b', 'select * from words')).to.deep.equal([])
    }

    for (const sql of [null, '', ' \n\t', ';', ' ; ;']) {
        it(`refuses nothing at all: ${JSON.stringify(sql)}`, async () => {
            await refused(exec(sql), {
                code: '22023',
                message: /^there is no SQL to run on the node$/,
                hint: /^Give a statement, such as: select pglobalxact\.exec\('b', 'update t set n = n \+ 1'\);$/
            })
            await nothingChanged()
        })
    }

    for (const sql of ['-- nothing', '/* nothing */', '; -- commit', "/* a */ -- it's\n /* b */ ;", '/* $$ */']) {
        it(`refuses comments only: ${JSON.stringify(sql)}`, async () => {
            await refused(exec(sql), {
                code: '22023',
                message: /^there is no SQL to run on the node$/,
                hint: /^The text holds comments only\.$/
            })
            await nothingChanged()
        })
    }

    for (const [sql, command] of [
        ['commit', 'COMMIT'],
        ['COMMIT;', 'COMMIT'],
        [' commit and chain', 'COMMIT'],
        ['end', 'END'],
        ['rollback', 'ROLLBACK'],
        ['abort', 'ABORT'],
        ['rollback to s', 'ROLLBACK'],
        ['begin', 'BEGIN'],
        ['start  transaction', 'START TRANSACTION'],
        ['savepoint s', 'SAVEPOINT'],
        ['release s', 'RELEASE'],
        ["prepare\ttransaction 'x'", 'PREPARE TRANSACTION'],
        ["commit prepared 'x'", 'COMMIT'],
        ["rollback prepared 'x'", 'ROLLBACK'],
        ['update account set balance = 0; commit', 'COMMIT'],
        ['update account set balance = 0;rollback;', 'ROLLBACK'],
        ['update account set balance = 0; -- so\n commit', 'COMMIT'],
        ['/* a */ commit', 'COMMIT'],
        ['/* a */ update account set balance = 0; /* b */ commit /* c */', 'COMMIT'],
        ['do $$begin null; end$$; commit; do $$begin null; end$$', 'COMMIT'],
        ["insert into words values ('it''s'); commit; insert into words values ('x')", 'COMMIT'],
        ["insert into words values (E'\\''); commit; insert into words values ('x')", 'COMMIT'],
        ["insert into words values ('c:\\'); commit --'", 'COMMIT'],
        ['create function f() returns int begin atomic select 1; end; commit', 'COMMIT']
    ] as const) {
        it(`refuses transaction control: ${JSON.stringify(sql)}`, async () => {
            await exec('update account set balance = balance + 10')
            await refused(exec(sql), {
                code: '2D000',
                message: new RegExp(`^${command} cannot be run on a node: the local transaction decides for all nodes$`),
                hint: /^Leave transaction control out of the SQL; COMMIT or ROLLBACK the local transaction\.$/
            })
            await nothingChanged()
        })
    }

    for (const sql of [
        `insert into words values ('; commit')`,
        `insert into words values ('x'); -- ; commit`,
        `insert into words values ('x') /* ; rollback; */`,
        `/* commit */ insert into words values ('x')`,
        `-- begin\ninsert into words values ('x')`,
        `insert into words values ($$; commit$$)`,
        `insert into words values ($commit$; $$ rollback; $$ $commit$)`,
        `insert into words values (E'it\\'s; commit')`,
        `insert into words values ('it''s'), ('; commit'), ('x')`,
        `insert into words values ('name'), ($$it's; commit$$)`,
        `insert into words values ('c:\\'), ('; end; ')`,
        `insert into words select word as "; commit" from words`,
        `insert into words select case when true then 'x' end`,
        `insert into words select 'x' as begin`,
        `do $$ begin insert into words values ('x'); end $$`,
        `do $$ declare n int; begin begin insert into words values ('commit;'); exception when others then null; end; end $$`,
        `create function f() returns void language plpgsql as $$ begin update words set word = ''; end $$`,
        `create function f() returns int language sql begin atomic select 1; select case when true then 2 end; end`,
        `create or replace procedure p() language plpgsql as 'begin commit; end'`,
        `prepare p as select 1; deallocate p`,
        `create table "end" (n int); drop table "end"`,
        `create table t (n int); /* a */ alter table t add "commit" int; /* b */ drop table t`
    ]) {
        it(`runs what only looks like it: ${JSON.stringify(sql)}`, async () => {
            expect(await exec(sql)).to.match(/^[A-Z]+/)
            await app.query('rollback')
            expect(await world.node('b', 'select * from words')).to.deep.equal([])
        })
    }

    it('runs several statements, and undoes all of them when a later one fails', async () => {
        expect(
            await exec(`insert into words values ('x'); update account set balance = balance + 5; insert into words values ('y'), ('z')`)
        ).to.equal('INSERT 0 2')
        await refused(exec(`insert into words values ('v'); insert into words values (1/0); insert into words values ('w')`), {
            code: '22012',
            message: /^division by zero$/
        })
        await nothingChanged()
    })

    it("shows the node's own error, with its DETAIL and HINT", async () => {
        await refused(exec('update acount set balance = 0'), { code: '42P01', message: /^relation "acount" does not exist$/ })
        await app.query('rollback')
        await refused(exec(`insert into account values (1, 5)`), {
            code: '23505',
            message: /account_pkey/,
            detail: /^Key \(id\)=\(1\) already exists\.$/
        })
        await refused(exec(`select balanse from account`), {
            code: '42703',
            message: /^column "balanse" does not exist$/,
            hint: /Perhaps you meant to reference the column "account\.balance"/
        })
    })

    it('says what to use instead for statements that return rows', async () => {
        for (const sql of ['select 1', `insert into words values ('x') returning word`, 'values (1)', 'show timezone']) {
            await app.query('rollback; begin')
            await refused(exec(sql), {
                code: '2F003',
                message: /^the statement returned rows, and exec returns none$/,
                hint: /^Use: select \* from pglobalxact\.query\(node, sql\) as t \(column type, …\);$/
            })
        }
        await nothingChanged()
    })

    it('refuses COPY through the client, which has no way to the node, and the session works on', async () => {
        for (const sql of ['copy account from stdin', 'copy account to stdout']) {
            await app.query('rollback; begin')
            await refused(exec(sql), {
                code: '0A000',
                message: /^COPY FROM STDIN and COPY TO STDOUT cannot be run on a node$/,
                hint: /^Use INSERT and pglobalxact\.query/
            })
            await app.query('rollback; begin')
            expect(await exec('update account set balance = balance + 10')).to.equal('UPDATE 1')
        }
        await app.query('rollback')
    })

    it('says that a read-only transaction can have no set', async () => {
        await app.query('rollback; begin read only')
        await refused(exec('update account set balance = 0'), {
            code: '25006',
            message: /^a read-only transaction cannot have a set: the commit record is written in it$/,
            hint: /^Begin it with: BEGIN READ WRITE;/
        })
        await nothingChanged()
    })
})
