/** What a hostile role can pretend to be, and what it gets from the functions it may call. (test/sql/roles.test.ts has the rights.) */
import { expect } from 'chai'
import type { Client } from 'pg'
import { refused, rows, value } from '../support/refused'
import { until } from '../support/wait'
import { PASSWORDS, type World } from '../support/world'
import { hostileWorld } from './hostile/support'

describe('a hostile role', () => {
    let world: World
    let own: string
    const { app, nobody, onNode, setWorks } = hostileWorld('hostile_calls', (made, id) => {
        world = made
        own = id
    })

    describe('that pretends to be another', () => {
        it('by an application_name has no session ended but, at worst, its own', async () => {
            const victim = await app()
            await world.transfer(victim)
            const names = await world.node<{ name: string; mine: boolean }>(
                'b',
                `select distinct application_name as name, application_name ~ '_sidecar_' as mine from pg_stat_activity where datname = current_database() and application_name like 'pgx%' and application_name like $1`,
                [`%${own}%`]
            )
            expect(names.map(({ mine }) => mine)).to.include.members([true, false])
            const strangers: Client[] = []
            for (const { name } of names)
                for (const user of ['nobody_here', 'node_app'] as const) {
                    const stranger = await onNode(user, name)
                    await stranger.query('begin; select pg_current_xact_id()')
                    await stranger.query('select pg_try_advisory_lock($1, $2)', [0x70677845, Number.parseInt(own, 16) | 0])
                    strangers.push(stranger)
                }
            for (const name of [
                'pglobalxact sidecar',
                'pglobalxact sidecar (work)',
                'pglobalxact sidecar (doorbell)',
                'pglobalxact install'
            ]) {
                const stranger = await nobody(name)
                await stranger.query('begin; select pg_current_xact_id()')
                strangers.push(stranger)
            }
            const bystander = await onNode('node_app')
            await bystander.query('begin; select pg_current_xact_id()')
            await world.sidecar!.stop()
            await world.startSidecar()
            await world.admin('select * from pglobalxact.recover()')
            // While the victim's set is in flight, all who bear its session's name pass for it.
            for (const one of [...strangers, bystander]) expect(await value(one, 'select 1')).to.equal(1)
            await victim.query('commit')
            expect(await value(victim, 'select pglobalxact.await()')).to.equal('committed')
            await world.admin('select * from pglobalxact.recover()')
            expect(await value(bystander, 'select 1')).to.equal(1)
            await setWorks()
        })

        it('by settings of pglobalxact breaks its own set only', async () => {
            const hostile = await app()
            for (const trick of [
                `set local pglobalxact.step = 7`,
                `set local pglobalxact.gid = 'pgx_${own}_1_00000000_1'`,
                `reset pglobalxact.step`
            ]) {
                await hostile.query('begin')
                await hostile.query(`select pglobalxact.exec('b', 'update account set balance = 0')`)
                await hostile.query(`select pglobalxact.exec('b', $1)`, [trick])
                await refused(hostile.query('commit'), {
                    code: '22P02|40000',
                    message: /^set rolled back: node "b": the branch does not match the local transaction$/
                })
            }
            for (const last of [`'; select 1 --`, '1_00000000', 'pgx_00000000_1_00000000_1']) {
                await hostile.query(`select set_config('pglobalxact.last_set', $1, false)`, [last])
                await refused(hostile.query('select pglobalxact.await()'), { code: '22023|42704', message: /./ })
            }
            // Its own choice: then its set is what it made of it, and stays on the books.
            await hostile.query(`set pglobalxact.verify_enlisted = off`)
            await hostile.query('begin')
            const gid = (await value(hostile, `select pglobalxact.enlist('c')`)) as string
            await hostile.query('commit')
            const set = gid.split('_').slice(2, 4).join('_')
            await until(
                'it is shown',
                async () =>
                    (await world.sql(`select from pglobalxact.sets() where set_id = $1 and outcome = 'unknown'`, [set])).length === 1
            )
            await world.admin('select pglobalxact.acknowledge($1, $2)', [set, 'test'])
            await setWorks()
        })
    })

    describe('that calls what it may', () => {
        const HOSTILE = [
            `''`,
            'null',
            `'b'`,
            `'''; drop table account; --'`,
            `'host=127.0.0.1 dbname=postgres'`,
            `'pglobalxact_loopback'`,
            `'$$;'`,
            `E'b\\n'`,
            `repeat('x', 9000)`,
            `'1_00000000'`
        ]
        const NUMBERS = ['0', '-1', '2147483647', 'null']

        it('with hostile arguments, every function that is granted: it gets errors, and no row of another', async function () {
            this.timeout(120_000)
            const hostile = await app()
            const granted = await rows<{ name: string; types: string[] }>(
                hostile,
                `select p.oid::regproc::text as name, array(select format_type(t, null) from unnest(p.proargtypes) with ordinality u (t, i) order by i) as types
                 from pg_proc p where p.pronamespace = (select oid from pg_namespace where nspname = 'pglobalxact') and has_function_privilege(p.oid, 'execute') and p.prorettype <> 'trigger'::regtype`
            )
            expect(granted.map(({ name }) => name)).to.include.members([
                'pglobalxact.exec',
                'pglobalxact._join_set',
                'pglobalxact._connect'
            ])
            const books = () =>
                world.sql(
                    'select (select count(*) from pglobalxact.commit_record) as sets, (select count(*) from pglobalxact.request) as requests, (select count(*) from pglobalxact.forced) as forced, (select array_agg(id) from pglobalxact.home) as homes'
                )
            const before = await books()
            await hostile.query(`set statement_timeout = '3s'`)
            for (const { name, types } of granted) {
                for (let i = 0; i < HOSTILE.length; i++) {
                    const given = types.map((type, at) =>
                        type === 'text' || type === 'name'
                            ? HOSTILE[(i + at * 3) % HOSTILE.length]!
                            : /int|oid|xid8/.test(type)
                              ? `${NUMBERS[i % NUMBERS.length]}::text::${type}`
                              : type === 'interval'
                                ? `'100 ms'`
                                : `null::${type}`
                    )
                    await hostile.query('begin')
                    await hostile.query(`select pglobalxact.exec('c', 'set local a.b = 1')`)
                    const call =
                        name === 'pglobalxact.query'
                            ? `select * from ${name}(${given.join(', ')}) as t (n int)`
                            : `select ${name}(${given.join(', ')})`
                    await hostile
                        .query(call)
                        .catch((error: { code?: string }) =>
                            expect(error.code, `${call}: ${String(error)}`).to.not.be.oneOf([undefined, 'XX000'])
                        )
                    await hostile.query('rollback')
                }
            }
            expect(await books()).to.deep.equal(before)
            expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
        })

        it('a SECURITY DEFINER function that runs a set as its owner: it gets that and not the connection', async () => {
            const owner = await app()
            await owner.query(`create or replace function public.pay(amount int) returns text language sql security definer set search_path = pg_catalog, pg_temp
                as $$ select pglobalxact.exec('b', format('update account set balance = balance + %s', amount)) $$`)
            const caller = await nobody()
            await caller.query('begin')
            expect(await value(caller, 'select public.pay(5)')).to.equal('UPDATE 1')
            await caller.query('commit')
            await until('it is committed', async () => (await world.balances())['b'] === 1005)
            await caller.query('begin')
            await caller.query('select public.pay(5)')
            const [app16] = await world.sql<{ oid: number }>(`select 'app'::regrole::oid::int as oid`)
            for (const call of [
                `dblink_exec('pgx_1_${app16!.oid}', 'update account set balance = 0')`,
                'dblink_get_connections()',
                `dblink_connect('x', 'host=127.0.0.1')`
            ]) {
                await caller.query('savepoint s')
                await refused(caller.query(`select public.${call}`), { code: '42501', message: /^permission denied for function dblink_/ })
                await caller.query('rollback to s')
            }
            await refused(caller.query(`select pglobalxact.exec('b', 'update account set balance = 0')`), {
                code: '42501',
                message: /^permission denied for schema pglobalxact$/
            })
            await caller.query('rollback')
            await owner.query('drop function public.pay(int)')
        })

        it("reads no password and nobody else's SQL", async () => {
            const victim = await app()
            await victim.query('begin')
            await victim.query(`select pglobalxact.exec('b', 'update account set balance = balance + 0 /* a secret of the victim */')`)
            const hostile = await nobody()
            const seen = JSON.stringify([
                await rows(hostile, 'select * from pg_user_mappings'),
                await rows(hostile, 'select * from pg_foreign_server'),
                await rows(hostile, 'select * from pg_stat_activity'),
                await rows(hostile, 'select * from pg_locks'),
                await rows(await onNode('nobody_here'), 'select * from pg_stat_activity')
            ])
            for (const secret of [...Object.values(PASSWORDS), 'a secret of the victim']) expect(seen).to.not.contain(secret)
            const program = await app()
            const mappings = JSON.stringify(await rows(program, `select * from pg_user_mappings where usename <> 'app'`))
            for (const secret of Object.values(PASSWORDS)) expect(mappings).to.not.contain(secret)
            expect(mappings).to.not.contain('password=')
            await victim.query('rollback')
        })
    })
})
