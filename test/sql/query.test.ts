import { expect } from 'chai'
import type { Client } from 'pg'
import { fillAccounts, refused, rows, value } from '../support/refused'
import { World } from '../support/world'

describe('query', () => {
    let world: World
    let app: Client

    before(async () => {
        world = await World.create({ name: 'query' })
        app = await world.connect()
        await world.node(
            'b',
            `
      create schema kinds; grant usage on schema kinds to node_app;
      create type public.mood as enum ('sad', 'glad');
      create domain kinds.age as int check (value >= 0);
      create type public.only_there as enum ('x');
      create table log (n int); grant all on log to node_app;
      create function note(n int) returns int language sql as $$ insert into log values (n) returning n $$`
        )
        await world.sql(
            `create type public.mood as enum ('sad', 'glad'); create schema kinds; create domain kinds.age as int; grant usage on schema kinds to app`
        )
    })
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await app.query('rollback')
        await world.settled()
    })
    after(() => world?.destroy())

    const query = (sql: string, columns: string, node = 'b') =>
        rows(app, `select * from pglobalxact.query($1, $2) as t (${columns})`, [node, sql])
    const text = async (sql: string, column: string) =>
        (await rows<{ x: string }>(app, `select x::text from pglobalxact.query('b', $1) as t (x ${column})`, [sql])).map((row) => row.x)

    it('returns the rows of a SELECT', async () => {
        expect(await query(`select n, 'row ' || n from generate_series(1, 3) n`, 'n int, label text')).to.deep.equal([
            { n: 1, label: 'row 1' },
            { n: 2, label: 'row 2' },
            { n: 3, label: 'row 3' }
        ])
    })

    it('returns many rows, and none', async () => {
        expect(await query('select n from generate_series(1, 20000) n', 'n int')).to.have.length(20000)
        expect(await query('select n, 1.5 from generate_series(1, 0) n', 'n int, d numeric')).to.deep.equal([])
    })

    for (const [type, literal, shown] of [
        ['smallint', `7::smallint`, '7'],
        ['bigint', `9007199254740993`, '9007199254740993'],
        ['numeric', `12345678901234567890.000000000012345`, '12345678901234567890.000000000012345'],
        ['double precision', `0.1::float8`, '0.1'],
        ['boolean', 'true', 'true'],
        ['text', `'x'`, 'x'],
        ['text', `E'tab\\t \\\\ "quote" \\'s and a\\nnew line'`, 'tab\t \\ "quote" \'s and a\nnew line'],
        ['text', `'100% of %s %1$L %%'`, '100% of %s %1$L %%'],
        ['text', `'ünïcödé – 漢字'`, 'ünïcödé – 漢字'],
        ['text', `''`, ''],
        ['timestamptz', `'2024-02-29 23:59:59.999999+00'::timestamptz`, '2024-02-29 23:59:59.999999+00'],
        ['date', `date '0044-03-15 BC'`, '0044-03-15 BC'],
        ['interval', `interval '1 mon -2 days 03:00'`, '1 mon -2 days +03:00:00'],
        ['uuid', `'00000000-0000-0000-0000-00000000002a'::uuid`, '00000000-0000-0000-0000-00000000002a'],
        ['bytea', `'\\xdeadbeef'::bytea`, '\\xdeadbeef'],
        ['inet', `inet '10.0.0.1/8'`, '10.0.0.1/8'],
        ['int[]', `array[1, null, 3]`, '{1,NULL,3}'],
        ['text[]', `array['a b', 'c,"d"', '{}']`, '{"a b","c,\\"d\\"","{}"}'],
        ['int[]', `'{}'::int[]`, '{}'],
        ['numeric[]', `array[array[1.5, 2], array[3, 4]]`, '{{1.5,2},{3,4}}'],
        ['json', `'{"a": [1, 2], "a": 3}'::json`, '{"a": [1, 2], "a": 3}'],
        ['jsonb', `'{"b": null, "a": "x"}'::jsonb`, '{"a": "x", "b": null}'],
        ['xid8', `'18446744073709551615'::xid8`, '18446744073709551615'],
        ['varchar', `'abc'::varchar(10)`, 'abc'],
        ['numeric', `1.5::numeric(5, 2)`, '1.50'],
        ['bpchar', `'abc'::char(5)`, 'abc'],
        ['bit varying', `b'101'::varbit`, '101'],
        ['"bit"', `b'101'`, '101'],
        ['bpchar[]', `array['ab'::char(3)]`, '{"ab "}'],
        ['"char"', `'c'::"char"`, 'c'],
        ['name', `'n'::name`, 'n'],
        ['int4range', `int4range(1, 5)`, '[1,5)'],
        ['mood', `'glad'::mood`, 'glad'],
        ['mood[]', `array['sad'::mood]`, '{sad}'],
        ['kinds.age', `41::kinds.age`, '41']
    ] as const) {
        it(`carries ${type} as it is: ${literal}`, async () => {
            await app.query(`set timezone = 'UTC'`)
            expect(await text(`select ${literal}`, type)).to.deep.equal([shown])
            expect(await text(`select null::${type === 'mood[]' ? 'public.mood[]' : type}`, type), 'and its NULL').to.deep.equal([null])
        })
    }

    it('reads dates and times right from a node that writes them another way', async () => {
        await world.node(
            'b',
            `alter role node_app in database ${world.database} set datestyle = 'SQL, DMY';
      alter role node_app in database ${world.database} set timezone = 'Asia/Tokyo'; alter role node_app in database ${world.database} set intervalstyle = 'sql_standard'`
        )
        const other = await world.connect()
        await other.query(`set timezone = 'UTC'; set datestyle = 'ISO, MDY'`)
        expect(
            await rows(
                other,
                `select d::text, t::text, i::text, z from pglobalxact.query('b', $1) as t (d date, t timestamptz, i interval, z text)`,
                [
                    `select date '2024-02-03', '2024-02-03 04:05:06+00'::timestamptz, make_interval(days => -1, hours => 2, mins => 3, secs => 4), '2024-02-03'::date::text`
                ]
            )
        ).to.deep.equal([{ d: '2024-02-03', t: '2024-02-03 04:05:06+00', i: '-1 days +02:03:04', z: '03/02/2024' }])
        await world.node('b', `alter role node_app in database ${world.database} reset all`)
    })

    it('runs WITH, VALUES, TABLE, parentheses, comments and a trailing semicolon', async () => {
        expect(await query('with x as (select 1 as n) select n from x', 'n int')).to.deep.equal([{ n: 1 }])
        expect(
            await query('with recursive x (n) as (select 1 union all select n + 1 from x where n < 3) select sum(n) from x', 'n bigint')
        ).to.deep.equal([{ n: '6' }])
        expect(await query(`values (1, 'a'), (2, null)`, 'n int, s text')).to.deep.equal([
            { n: 1, s: 'a' },
            { n: 2, s: null }
        ])
        expect(await query('table account', 'id int, balance bigint')).to.deep.equal([{ id: 1, balance: '1000' }])
        expect(await query('(select 1) union all (select 2) order by 1', 'n int')).to.deep.equal([{ n: 1 }, { n: 2 }])
        expect(await query('-- why\nselect 1 /* because */ -- so', 'n int')).to.deep.equal([{ n: 1 }])
        expect(await query(' select 1 ;\n', 'n int')).to.deep.equal([{ n: 1 }])
        expect(await query(`select 'it''s; commit', $$; rollback$$, 5 % 3`, 's text, d text, m int')).to.deep.equal([
            { s: `it's; commit`, d: '; rollback', m: 2 }
        ])
        expect(await query('select 1 as x, 2 as x', 'a int, b int')).to.deep.equal([{ a: 1, b: 2 }])
    })

    it("sees the set's own work on the node before COMMIT, and nobody else does", async () => {
        await app.query('begin')
        await app.query(`select pglobalxact.exec('b', 'update account set balance = 5')`)
        expect(await query('select balance from account', 'balance bigint')).to.deep.equal([{ balance: '5' }])
        expect(await world.balances()).to.include({ b: 1000 })
    })

    it('joins rows of two nodes with local ones', async () => {
        expect(
            await rows(
                app,
                `
      select a.id, b.balance + c.balance + a.balance as total from account a
      join pglobalxact.query('b', 'select id, balance from account') as b (id int, balance bigint) using (id)
      join pglobalxact.query('c', 'select id, balance from account') as c (id int, balance bigint) using (id)`
            )
        ).to.deep.equal([{ id: 1, total: '3000' }])
    })

    describe('refuses', () => {
        const wrongColumns = {
            code: '42804',
            message: /^the columns asked for are not those of the node's answer$/,
            hint: /^The answer's columns are \(c1 integer, c2 text\): write them after "as t", or cast in the remote SQL\.$/
        }
        it('a column list of other types, and names the right one', () =>
            refused(query(`select 1, 'x'`, 'a int, b int'), {
                ...wrongColumns,
                detail: /^Returned type text does not match expected type integer in column /
            }))
        it('a column list too short or too long', async () => {
            await refused(query(`select 1, 'x'`, 'a int'), wrongColumns)
            await refused(query(`select 1, 'x'`, 'a int, b text, c text'), wrongColumns)
        })
        it('a column list that would cut values, and then works on in the next set', async () => {
            await refused(query(`select 'abc'::varchar(9) from generate_series(1, 1000)`, 'v varchar(9)'), {
                code: '42804',
                message: wrongColumns.message,
                hint: /\(c1 character varying\)/
            })
            expect(await query('select 1', 'n int')).to.deep.equal([{ n: 1 }])
        })
        it('a type that only the node has, with a way round', async () => {
            await refused(query(`select 'x'::only_there`, 'x text'), {
                code: '42704',
                message: /^type "public.only_there" does not exist$/,
                hint: /\(c1 public\.only_there\): a type that only the node has must be cast in the remote SQL, as in "kind::text"\.$/
            })
            expect(await query(`select 'x'::only_there::text`, 'x text')).to.deep.equal([{ x: 'x' }])
        })
        it('a SELECT without columns', () =>
            refused(query('select from account', 'x int'), { code: '42601', message: /^the query returns no columns$/ }))
        it('what is not a query', async () => {
            for (const sql of [
                'update account set balance = 0',
                'insert into log values (1) returning n',
                'do $$begin end$$',
                'create table t (n int)',
                'explain select 1',
                'show timezone'
            ]) {
                await refused(query(sql, 'x int'), {
                    code: '42601',
                    message: /^query runs SELECT, WITH, VALUES or TABLE only$/,
                    hint: /use pglobalxact\.exec\(node, sql\)/
                })
            }
        })
        it('several statements, transaction control, and changes in a WITH', async () => {
            await refused(query('select 1; select 2', 'x int'), { code: '42601', message: /syntax error at or near ";"/ })
            await refused(query('select 1; commit', 'x int'), { code: '2D000', message: /^COMMIT cannot be run on a node/ })
            await refused(query('with x as (delete from log returning n) select n from x', 'n int'), {
                code: '0A000',
                message: /data-modifying statement must be at the top level/
            })
        })
        it('an error of the node, in its own words', () =>
            refused(query('select 1 / (balance - 1000) from account', 'x bigint'), { code: '22012', message: /^division by zero$/ }))
    })

    describe('at COMMIT', () => {
        it('a branch that only read is committed plainly: no prepared transaction, and the set is complete at once', async () => {
            await world.sidecar!.kill()
            await app.query('begin')
            await query('select balance from account', 'balance bigint')
            await query('select balance from account', 'balance bigint', 'c')
            const set = await value(app, 'select pglobalxact.set_id()')
            await app.query('commit')
            expect(await world.prepared()).to.deep.equal([])
            expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
            expect(await world.admin('select node, state from pglobalxact.branches($1)', [set])).to.deep.equal([
                { node: 'b', state: 'committed' },
                { node: 'c', state: 'committed' }
            ])
            for (const node of ['b', 'c']) {
                expect(
                    await world.node(
                        node,
                        `select from pg_stat_activity where datname = current_database() and application_name like 'pgx%' and xact_start is not null`
                    )
                ).to.deep.equal([])
            }
            await world.startSidecar()
        })

        it('a branch that wrote through a function it called is prepared', async () => {
            await world.sidecar!.kill()
            await app.query('begin')
            expect(await query('select note(1)', 'n int')).to.deep.equal([{ n: 1 }])
            await query('select 1', 'n int', 'c')
            await app.query('commit')
            expect(await world.prepared()).to.have.length(1)
            expect(await world.node('b', 'select n from log')).to.deep.equal([])
            await world.startSidecar()
            expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
            expect(await world.node('b', 'select n from log')).to.deep.equal([{ n: 1 }])
        })

        it('a branch that wrote through a function it called is rolled back with the rest', async () => {
            await app.query('begin')
            await query('select note(2)', 'n int')
            await app.query(`select pglobalxact.exec('c', 'update account set balance = 1')`)
            await app.query('savepoint s')
            await app.query(`select pglobalxact.exec('c', 'update account set balance = 2')`)
            await app.query('rollback to s')
            await refused(app.query('commit'), { code: '22P02', message: /^set rolled back: node "c": the branch does not match/ })
            expect(await world.prepared()).to.deep.equal([])
            expect(await world.node('b', 'select n from log where n = 2')).to.deep.equal([])
        })

        it('a branch used by query first and exec later is prepared', async () => {
            await app.query('begin')
            await query('select 1', 'n int')
            await app.query(`select pglobalxact.exec('b', 'update account set balance = 7')`)
            await query('select 1', 'n int')
            await app.query('commit')
            await app.query('select pglobalxact.await()')
            expect(await world.balances()).to.include({ b: 7 })
        })

        it('a savepoint undone since a read makes it fail, as the rows read may have been used', async () => {
            await app.query('begin')
            await query('select 1', 'n int')
            await app.query('savepoint s')
            await query('select 1', 'n int')
            await app.query('rollback to s')
            await refused(app.query('commit'), { code: '22P02', message: /^set rolled back: node "b": the branch does not match/ })
        })
    })
})
