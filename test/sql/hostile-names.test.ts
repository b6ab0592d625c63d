/** Functions, operators and tables that a hostile role plants where others' sessions look for names: nobody runs them. */
import { expect } from 'chai'
import type { Client } from 'pg'
import { rows, value } from '../support/refused'
import type { World } from '../support/world'
import { hostileWorld } from './hostile/support'

describe('a hostile role', () => {
    let world: World
    const { app, nobody, onNode, prepared } = hostileWorld('hostile_names', (made) => (world = made))

    describe('that plants functions, operators and tables', () => {
        // They fit better than PostgreSQL's own where one side is a literal, or a type that only casts.
        const PAIRS = [
            'name, name',
            'name, text',
            'text, tid',
            'oid, regnamespace',
            'oid, regproc',
            'numeric, bigint',
            'bigint, numeric',
            'integer, text',
            'text, integer',
            'text, name'
        ]
        const SIGNS = ['=', '<>', '~', '~~', '||', '%', '-', '+', '/', '*', '<', '>', '>=', '<=']
        const FUNCTIONS = [
            ['format', 'text, integer'],
            ['left', 'text, bigint'],
            ['format', 'text, name'],
            ['quote_ident', 'name'],
            ['string_agg', 'name, text'],
            ['to_regrole', 'name']
        ]
        async function plant(client: Client): Promise<void> {
            await client.query(
                `create table if not exists public.trap (what text, who name default current_user, session name default session_user); grant insert, select on public.trap to public`
            )
            const body = (what: string) => `language plpgsql as $$ begin insert into public.trap values ('${what}'); return null; end $$`
            let traps = 0
            const operator = async (sign: string, left: string, right: string): Promise<void> => {
                const result = sign === '||' ? 'text' : '%-+/*'.includes(sign) ? 'numeric' : 'boolean'
                const name = `public.trap_${++traps}`
                await client.query(`create function ${name}(${left}, ${right}) returns ${result} ${body(`${left} ${sign} ${right}`)}`)
                await client.query(`create operator public.${sign} (leftarg = ${left}, rightarg = ${right}, function = ${name})`)
            }
            for (const pair of PAIRS) for (const sign of SIGNS) await operator(sign, ...(pair.split(', ') as [string, string]))
            await operator('||', 'integer', 'integer')
            for (const [name, args] of FUNCTIONS)
                await client.query(`create function public.${name}(${args}) returns text ${body(`${name}(${args})`)}`)
        }
        const TRAPPED = 'select distinct what, who, session from public.trap'

        it("on a node, where others' roles look for names: neither the sidecar nor a program runs them", async () => {
            await plant(await onNode('nobody_here'))
            await world.node('b', 'delete from public.trap')
            const victim = await app()
            await world.transfer(victim)
            expect(
                await rows(victim, `select * from pglobalxact.query('b', 'select id, balance from account') as t (id int, balance bigint)`)
            ).to.deep.equal([{ id: 1, balance: '1010' }])
            await world.admin('select * from pglobalxact.recover()')
            await world.admin(`select * from pglobalxact.check_node('b')`)
            await victim.query('commit')
            await value(victim, 'select pglobalxact.await()')
            // A new fence and new connections, a fate to be looked up, and an enlisted branch.
            await world.sidecar!.stop()
            await world.transfer(victim, 10, ['b'])
            await victim.query('commit')
            const [branch] = await prepared()
            const byHand = await onNode('node_app')
            await byHand.query(`commit prepared '${branch!.gid}'`)
            await world.startSidecar()
            await value(victim, 'select pglobalxact.await()')
            await victim.query('begin')
            const gid = (await value(victim, `select pglobalxact.enlist('b')`)) as string
            await byHand.query('begin; select pg_current_xact_id()')
            await byHand.query(`prepare transaction '${gid}'`)
            await world.admin('select * from pglobalxact.recover()')
            await victim.query('commit')
            await world.settled()
            expect(await world.node('b', TRAPPED)).to.deep.equal([])
        })

        it('on the coordinator: neither a session, nor the sidecar, nor an installation by a superuser runs them', async () => {
            await plant(await nobody())
            await world.sql('delete from public.trap')
            const victim = await app()
            await world.transfer(victim)
            await rows(victim, `select * from pglobalxact.query('b', 'select id from account') as t (id int)`)
            await victim.query('commit')
            await value(victim, 'select pglobalxact.await()')
            for (const call of [
                'sets()',
                'branches()',
                'nodes()',
                'status()',
                'requests()',
                'state_lines()',
                `check_node('b')`,
                'recover()',
                'drain()',
                'resume()'
            ])
                await world.admin(`select * from pglobalxact.${call}`)
            await world.sidecar!.stop()
            await world.install()
            await world.startSidecar()
            expect(await world.sql(TRAPPED)).to.deep.equal([])
        })

        it('in its own session, as temporary objects: it gets no further than its own transaction', async () => {
            const hostile = await app()
            for (const name of [
                'coordinator',
                'node',
                'commit_record',
                'branch_record',
                'server_start',
                'forced',
                'request',
                'home',
                'pause_switch',
                'pg_locks',
                'pg_stat_activity',
                'pg_prepared_xacts',
                'pg_foreign_server'
            ])
                await hostile.query(
                    `create temp table ${name} (id text, number int, name text, last_value int, xid xid8, nonce text, started_at timestamptz, node int)`
                )
            await hostile.query(`create function pg_temp.current_setting(text) returns text language sql as $$ select 'x' $$`)
            await hostile.query(
                `create function pg_temp._nonce(text, xid8, timestamptz) returns text language sql as $$ select '00000000' $$`
            )
            await hostile.query('set search_path = pg_temp, public, pg_catalog')
            const set = await world.transfer(hostile)
            expect(set).to.match(/^[1-9]\d*_(?!00000000)[0-9a-f]{8}$/)
            await hostile.query('commit')
            expect(await value(hostile, 'select pglobalxact.await()')).to.equal('committed')
        })
    })
})
