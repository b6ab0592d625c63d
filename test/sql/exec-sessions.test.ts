import { expect } from 'chai'
import type { Client } from 'pg'
import { fillAccounts, refused, value } from '../support/refused'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'

const UNTOUCHED = { a: 1000, b: 1000, c: 1000 }

describe('a session with connections to nodes', () => {
    let world: World
    let app: Client

    before(async () => {
        world = await World.create({ name: 'sessions' })
        app = await world.connect()
        await world.node(
            'b',
            `do $$ begin create role node_other login; exception when duplicate_object then null; end $$;
      alter role node_other password 'other-secret-7'; grant node_other to node_sidecar; grant all on account to node_other`
        )
    })
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await app.query('rollback')
        await app.query('reset role')
        await world.settled()
    })
    after(() => world?.destroy())

    const pay = (node: string, amount = 10, session = app) =>
        value(session, 'select pglobalxact.exec($1, $2)', [node, `update account set balance = balance + ${amount}`])
    const whoOn = (node: string) => value(app, `select who from pglobalxact.query($1, 'select current_user::text') as t (who text)`, [node])
    /** Application names on a node start like this for every session of a coordinator. */
    const remoteSessions = (node: string) =>
        world.node<{ pid: number; state: string }>(
            node,
            `select pid, state from pg_stat_activity where datname = current_database() and application_name ~ '^pgx_.*_${sessionPid}(_|$)'`
        )
    let sessionPid = 0
    before(async () => {
        sessionPid = Number(await value(app, 'select pg_backend_pid()'))
    })

    /** A role that app may become, with a user mapping of its own. Roles are the cluster's: each test file's have other names. */
    async function addRole(name: string, mapping?: string): Promise<void> {
        await world.sql(`do $$ begin create role ${name}; exception when duplicate_object then null; end $$;
      grant pglobalxact_user to ${name}; grant ${name} to app; grant usage on foreign server b to ${name}`)
        if (mapping) await world.sql(`create user mapping for ${name} server b options (${mapping})`)
    }

    describe('that changes its role', () => {
        const other = `user 'node_other', password 'other-secret-7'`

        it("reaches a node with each role's own user mapping, never on the other's connection", async () => {
            await addRole('app_two', other)
            expect(await whoOn('b')).to.equal('node_app')
            await app.query('set role app_two')
            expect(await whoOn('b')).to.equal('node_other')
            await app.query('reset role')
            expect(await whoOn('b')).to.equal('node_app')
            expect(await remoteSessions('b')).to.have.length(2)
        })

        it('does not reach it at all as a role without a user mapping', async () => {
            await addRole('app_three')
            await pay('b', 0)
            await app.query('set role app_three')
            await refused(pay('b'), { code: '42704', message: /^cannot connect to node "b" as role "app_three": user mapping not found/ })
        })

        it('tells roles apart whose names differ in case only', async () => {
            await addRole('"App"')
            await pay('b', 0)
            await app.query('set role "App"')
            await refused(pay('b'), { code: '42704', message: /^cannot connect to node "b" as role "App": user mapping not found/ })
        })

        it('cannot use one node as two roles in one set', async () => {
            await addRole('app_two')
            await app.query('begin')
            await pay('b')
            await app.query('set local role app_two')
            await refused(pay('b'), {
                code: '55000',
                message: /^this transaction already has a branch on node "b" under another role or by other means$/,
                hint: /^A set has one branch per node: use it as one role/
            })
        })

        it('is not blocked by what it left open as the other role', async () => {
            await addRole('app_two')
            await world.sidecar!.kill() // which would end it, sooner or later
            await app.query('begin')
            await pay('b', 100)
            await app.query('rollback')
            await app.query('set role app_two')
            await app.query(`set statement_timeout = '5s'`)
            expect(await pay('b', 1)).to.equal('UPDATE 1')
            await app.query('reset statement_timeout')
            await world.startSidecar()
            await world.settled()
            expect(await world.balances()).to.include({ b: 1001 })
        })
    })

    it('may run sets in a SECURITY DEFINER function for a login that has no right to', async () => {
        await addRole('teller')
        await world.sql(`
      do $$ begin create role customer login password 'customer-8'; exception when duplicate_object then null; end $$;
      create user mapping for teller server b options (user 'node_app', password '${PASSWORDS.node_app}');
      create function deposit(amount int) returns text language plpgsql security definer as
        $$ begin return pglobalxact.exec('b', format('update account set balance = balance + %s', amount)); end $$;
      alter function deposit owner to teller`)
        const customer = await world.coordinator.connect({ database: world.database, user: 'customer', password: 'customer-8' })
        try {
            await refused(pay('b', 1, customer), { code: '42501', message: /permission denied for schema pglobalxact/ })
            await customer.query('begin')
            await customer.query('select deposit(10)')
            // The sidecar looks at the node meanwhile, and must not take this set's remote work for abandoned. Two looks: the first
            // may share one that had begun before.
            for (let look = 0; look < 2; look++) await world.admin('select * from pglobalxact.recover()')
            expect(await world.sql('select role from pglobalxact.in_flight')).to.deep.equal([{ role: 'customer' }])
            await customer.query('select deposit(1)')
            await customer.query('commit')
        } finally {
            await customer.end()
        }
        await world.settled()
        expect(await world.balances()).to.include({ b: 1011 })
    })

    describe('after a local ROLLBACK', () => {
        it('gives up the remote locks within two seconds, even if it then sits idle', async () => {
            await app.query('begin')
            await pay('b', 100)
            await pay('c', 100)
            await app.query('rollback')
            const start = Date.now()
            await Promise.all(
                ['b', 'c'].map((node) =>
                    until(
                        `node ${node} has no transaction of it`,
                        async () =>
                            (await world.node(node, `set lock_timeout = 20; update account set balance = balance returning id`)).length ===
                            1,
                        { timeoutMs: 10_000 }
                    )
                )
            )
            expect(Date.now() - start).to.be.lessThan(2000)
            expect(await world.balances()).to.deep.equal(UNTOUCHED)
        })

        it('works on at once with its next call', async () => {
            for (let round = 0; round < 20; round++) {
                await app.query('begin')
                await pay('b', 100)
                await app.query('rollback')
                expect(await pay('b', 1)).to.equal('UPDATE 1')
            }
            await world.settled()
            expect(await world.balances()).to.deep.equal({ ...UNTOUCHED, b: 1020 })
        })

        it('works on without the sidecar too', async () => {
            await world.sidecar!.kill()
            await app.query('begin')
            await pay('b', 100)
            await app.query('rollback')
            await app.query('begin')
            await pay('b', 100)
            await refused(pay('b', -9999), { code: '23514', message: /account_balance_check/ })
            await app.query('rollback')
            await pay('b', 1)
            await world.startSidecar()
            await world.settled()
            expect(await world.balances()).to.deep.equal({ ...UNTOUCHED, b: 1001 })
        })
    })

    describe('whose remote connection is killed', () => {
        const kill = (node: string) =>
            until('its remote sessions are gone', async () => {
                const sessions = await remoteSessions(node)
                for (const { pid } of sessions) await world.node(node, 'select pg_terminate_backend($1)', [pid])
                return sessions.length === 0
            })

        it('between two sets does not notice', async () => {
            await pay('b', 1)
            await kill('b')
            expect(await pay('b', 1)).to.equal('UPDATE 1')
            await kill('b')
            expect(await whoOn('b')).to.equal('node_app')
            await world.settled()
            expect(await world.balances()).to.include({ b: 1002 })
        })

        it('inside a set gets a clear error at its next exec there, and nothing is committed', async () => {
            await world.transfer(app, 10)
            await kill('b')
            await refused(pay('b'), {
                code: '57P01|08003|08006',
                message: /^node "b" was lost: /,
                hint: /^The set cannot commit: ROLLBACK and run the transaction again\./
            })
            await app.query('commit') // answers ROLLBACK
            expect(await world.balances()).to.deep.equal(UNTOUCHED)
        })

        it('inside a set gets a clear error at COMMIT, nothing is committed, and the next set works', async () => {
            await world.transfer(app, 10)
            await kill('c')
            await refused(app.query('commit'), {
                code: '57P01|08003|08006',
                message: /^set rolled back: node "c": /,
                hint: /^Run the transaction again\./
            })
            await until('no branch is prepared', async () => (await world.prepared()).length === 0)
            expect(await world.balances()).to.deep.equal(UNTOUCHED)
            await world.transfer(app, 10)
            await app.query('commit')
            await world.settled()
            expect(await world.balances()).to.deep.equal({ a: 980, b: 1010, c: 1010 })
        })
    })
})
