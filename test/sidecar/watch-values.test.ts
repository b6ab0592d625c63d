import { expect } from 'chai'
import type { Client } from 'pg'
import { until } from '../support/wait'
import { World } from '../support/world'
import { allowWatching, feedOf, logicalCluster, prepareOn, streams } from './watching'

const BIG = 'z'.repeat(3000)

/** The server's version decides by which plugin, and so in which form, the rows come: what is shown of them is the same. */
describe('the rows of a watched node', () => {
    let world: World
    let client: Client

    before(async () => {
        const b = await logicalCluster('lv')
        world = await World.create({ name: 'watchvalues', nodes: ['b'], clusters: { b } })
        await allowWatching(world, 'b')
        // From 18 on a table that is published without its generated columns cannot be updated when they are in its identity.
        const twice = b.versionNum < 180000 ? ', twice int generated always as (a * 2) stored' : ''
        await world.node(
            'b',
            `create schema "we.i""rd"; create type "we.i""rd"."mo]o[d" as enum ('a', 'b''c'); create domain flag as boolean;
             create table "we.i""rd"."t:[x]" (id int primary key, "na: [me" "we.i""rd"."mo]o[d", "null" text, "new-tuple" text, moods "we.i""rd"."mo]o[d"[],
                 yes bool, no flag, bits bit(3), wide varbit, real float8, twice int generated always as (id * 2) stored, big text, sign "char",
                 padded char(4), doc jsonb, at timestamptz, span interval, raw bytea, amount numeric);
             alter table "we.i""rd"."t:[x]" alter column big set storage external;
             create table whole (a int, "B" text, gone int, c bool${twice}); alter table whole replica identity full;
             alter table whole drop column gone;
             create table by_index (n int not null unique, m text, more text); alter table by_index replica identity using index by_index_n_key;
             create table keyless (a int); create table cleared (a int); create table cleared_too (a int);
             insert into "we.i""rd"."t:[x]" values (1, 'a', 'null', null, null, true, false, B'101', B'1', 'NaN', default, '${BIG}');
             insert into whole values (1, null, true), (null, null, null), (2, 'two', false);
             insert into by_index values (1, 'one', null), (2, 'two', null);
             grant usage on schema "we.i""rd" to node_app; grant all on "we.i""rd"."t:[x]", whole, by_index, keyless, cleared, cleared_too to node_app`
        )
        await world.admin("select * from pglobalxact.watch_node('b', all_gids => true)")
        await streams(world, 'b')
        client = await world.connect()
    })
    after(() => world?.destroy())

    it('are shown whatever their names, types and values are', async () => {
        const odd = `'it''s \\ "x" '' new-tuple: y[integer]:5' || chr(10) || 'COMMIT 5 (at once) é€'`
        const { id } = await prepareOn(
            world,
            'b',
            client,
            `insert into "we.i""rd"."t:[x]" values (7, 'b''c', ${odd}, 'null', '{a,NULL,b''c}', false, true, B'010', B'', '-1.5e-7', default, '${BIG}', '''', 'ab',
                 '{"a": [1, null]}', '1999-12-31 23:59:59.000001+00', '-1 day', '\\x00ff', 12345678901234567890.50)`,
            `update "we.i""rd"."t:[x]" set yes = false where id = 1`,
            `update "we.i""rd"."t:[x]" set id = 2, big = null where id = 1`,
            `delete from "we.i""rd"."t:[x]" where id = 2`,
            `update whole set c = null where a = 1`,
            'delete from whole where a is null',
            'delete from whole where a = 2',
            `update by_index set m = 'eins' where n = 1`,
            'update by_index set n = 3 where n = 2',
            'delete from by_index where n = 3',
            'insert into keyless values (null)',
            'savepoint s',
            'insert into keyless values (5)',
            'rollback to savepoint s',
            'truncate cleared, cleared_too restart identity cascade'
        )
        const rows = await until('its rows are known', async () => {
            const found = await world.admin<Record<string, unknown>>('select * from pglobalxact.changes($1)', [id])
            return found.length === 13 && found
        })
        const t = '"we.i""rd"."t:[x]"'
        const inserted = {
            ...{ id: '7', 'na: [me': "b'c", null: `it's \\ "x" ' new-tuple: y[integer]:5\nCOMMIT 5 (at once) é€`, 'new-tuple': 'null' },
            ...{ moods: "{a,NULL,b'c}", yes: 'f', no: 't', bits: '010', wide: '', real: '-1.5e-07', big: BIG, sign: "'", padded: 'ab  ' },
            ...{
                doc: '{"a": [1, null]}',
                at: '1999-12-31 23:59:59.000001+00',
                span: '-1 days',
                raw: '\\x00ff',
                amount: '12345678901234567890.50'
            }
        }
        const was = {
            ...{ 'na: [me': 'a', null: 'null', 'new-tuple': null, moods: null, no: 'f', bits: '101', wide: '1', real: 'NaN', sign: null },
            ...{ padded: null, doc: null, at: null, span: null, raw: null, amount: null }
        }
        expect(rows.map(({ relation, operation, old_row, new_row }) => [relation, operation, old_row, new_row])).to.deep.equal([
            [t, 'insert', null, inserted],
            [t, 'update', { id: '1' }, { id: '1', yes: 'f', ...was }],
            [t, 'update', { id: '1' }, { id: '2', yes: 'f', big: null, ...was }],
            [t, 'delete', { id: '2' }, null],
            ['public.whole', 'update', { a: '1', B: null, c: 't' }, { a: '1', B: null, c: null }],
            ['public.whole', 'delete', { a: null, B: null, c: null }, null],
            ['public.whole', 'delete', { a: '2', B: 'two', c: 'f' }, null],
            ['public.by_index', 'update', { n: '1' }, { n: '1', m: 'eins', more: null }],
            ['public.by_index', 'update', { n: '2' }, { n: '3', m: 'two', more: null }],
            ['public.by_index', 'delete', { n: '3' }, null],
            ['public.keyless', 'insert', null, { a: null }],
            ['public.cleared', 'truncate', null, null],
            ['public.cleared_too', 'truncate', null, null]
        ])
        await client.query('rollback')
        await world.settled()
    })

    it('and the gids of others are what they are', async () => {
        const gid = `it's "odd" \\n\\\\ \n', txid 7 (at last)`
        const literal = `E'${gid.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n')}'`
        const start = Date.now()
        await world.node('b', `begin; insert into whole values (1); prepare transaction ${literal}`)
        await world.node('b', `rollback prepared ${literal}`)
        const lines = await feedOf(world, gid, 2)
        expect(lines.map((line) => [line.event, line.changed, line.set_id])).to.deep.equal([
            ['prepare', '1', null],
            ['rollback prepared', null, null]
        ])
        // One clock: the node's is this machine's.
        for (const { at } of lines) expect(at.getTime()).to.be.within(start, Date.now())
    })

    it('are counted beyond what is kept of them, in plain transactions, too, as they come', async () => {
        // Not prepared: they are passed over, whatever they hold.
        await world.node('b', `insert into keyless select n from generate_series(1, 5000) n; truncate cleared`)
        await world.node(
            'b',
            `select pg_logical_emit_message(true, 'COMMIT', 'PREPARE TRANSACTION ''x'''), pg_logical_emit_message(false, 'BEGIN 5', '')`
        )
        const { id, gid } = await prepareOn(
            world,
            'b',
            client,
            `insert into keyless select n from generate_series(1, 600) n`,
            `insert into whole select n, repeat('x', 10000) from generate_series(1, 300) n`,
            `insert into keyless select n from generate_series(1, 600) n`
        )
        const [line] = await feedOf(world, gid, 1)
        expect(line!.changed).to.equal('1500')
        const rows = await until('its rows are known', async () => {
            const found = await world.admin<{ relation: string; total: string }>('select * from pglobalxact.changes($1)', [id])
            return found.length > 600 && found
        })
        expect(rows.length).to.be.at.most(1000)
        expect(rows.filter(({ relation }) => relation === 'public.whole')).to.have.lengthOf(104) // of 10,000 bytes and one to three: a megabyte
        expect(rows[0]!.total).to.equal('1500')
        const [plan] = await world.admin<{ at_stake: string }>('select * from pglobalxact.force_rollback($1)', [id])
        expect(plan!.at_stake).to.contain('changes 1500 rows (insert public.keyless 1200, insert public.whole 300)')
        await client.query('rollback')
        await world.settled()
    })
})
