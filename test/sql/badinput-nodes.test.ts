import { expect } from 'chai'
import type { Client } from 'pg'
import { startCluster, type Cluster } from '../support/cluster'
import { fillAccounts, refused, rows, value } from '../support/refused'
import { World } from '../support/world'

describe('a node that cannot serve', () => {
    let world: World
    let app: Client
    let none: Cluster
    let one: Cluster

    before(async () => {
        ;[none, one] = await Promise.all([
            startCluster({ name: 'none', settings: { max_prepared_transactions: 0 } }),
            startCluster({ name: 'one', settings: { max_prepared_transactions: 1 } })
        ])
        world = await World.create({ name: 'badnodes', nodes: ['none', 'one', 'c'], clusters: { none, one } })
        app = await world.connect()
    })
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await app.query('rollback')
        await app.query('reset role')
        await world.settled()
        expect(await world.balances()).to.deep.equal({ a: 1000, none: 1000, one: 1000, c: 1000 })
    })
    after(async () => {
        await world?.destroy()
        await Promise.all([none.destroy(), one.destroy()])
    })

    const pay = (node: string | null) => value(app, 'select pglobalxact.exec($1, $2)', [node, 'update account set balance = balance + 10'])
    const check = async (node: string, item: string) =>
        (await world.admin('select * from pglobalxact.check_node($1) where item = $2', [node, item]))[0]

    it('because there is none of that name', async () => {
        for (const node of ['nowhere', '', null, 'C', 'host=127.0.0.1 dbname=postgres']) {
            const expected = {
                code: '42704',
                message: new RegExp(`^node "${node ?? '<NULL>'}" does not exist$`),
                hint: /^Nodes are listed by pglobalxact\.nodes\(\)\. To make a foreign server a node: select \* from pglobalxact\.add_node\(.*\);$/
            }
            await app.query('begin')
            await app.query('update account set balance = 0')
            await refused(pay(node), expected)
            await app.query('commit') // answers ROLLBACK
            await refused(value(app, 'select pglobalxact.enlist($1)', [node]), expected)
            await refused(rows(app, `select * from pglobalxact.query($1, 'select 1') as t (n int)`, [node]), expected)
        }
    })

    it('because its foreign server is no node, or no longer one', async () => {
        await world.createServer('spare', world.nodes.get('c')!)
        await refused(pay('spare'), { code: '42704', message: /^node "spare" does not exist$/, hint: /add_node\('spare'\)/ })
        await refused(pay('pglobalxact_loopback'), { code: '42704', message: /^node "pglobalxact_loopback" does not exist$/ })
        await world.admin(`select pglobalxact.remove_node('one')`)
        await refused(pay('one'), { code: '42704', message: /^node "one" does not exist$/, hint: /add_node\('one'\)/ })
        await world.admin(`select * from pglobalxact.add_node('one')`)
    })

    it('because prepared transactions are disabled there', async () => {
        expect(await check('none', 'prepared slots')).to.deep.equal({
            item: 'prepared slots',
            ok: false,
            detail: 'prepared transactions are switched off',
            hint: 'alter system set max_prepared_transactions = 200; /* then restart the server, and its standbys before it */'
        })
        await app.query('begin')
        await app.query('update account set balance = balance - 20')
        await pay('c')
        await pay('none')
        await refused(app.query('commit'), {
            code: '55000',
            message: /^set rolled back: node "none": prepared transactions are disabled$/,
            hint: /^Prepared transactions are disabled on node "none": set max_prepared_transactions there to at least its max_connections, and restart it\.$/
        })
        expect(await world.prepared()).to.deep.equal([])
    })

    it('although reading from it needs no slot', async () => {
        expect(
            await rows(app, `select * from pglobalxact.query('none', 'select balance from account') as t (balance bigint)`)
        ).to.deep.equal([{ balance: '1000' }])
    })

    it('because all its slots are taken', async () => {
        await one.query(`begin; create table taken (); prepare transaction 'somebody else''s'`)
        try {
            await app.query('begin')
            await pay('one')
            await pay('c')
            await refused(app.query('commit'), {
                code: '53200',
                message: /^set rolled back: node "one": maximum number of prepared transactions reached$/,
                hint: /^Node "one" has no free slot for prepared transactions: raise max_prepared_transactions there, or see what fills it in pg_prepared_xacts\.$/
            })
            expect(await world.prepared()).to.deep.equal([])
        } finally {
            await one.query(`rollback prepared 'somebody else''s'`)
        }
        // And the same session's next set finds the slot free.
        await app.query('begin')
        await pay('one')
        await app.query('commit')
        expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
        await fillAccounts(world)
    })

    it('because it is down', async () => {
        await pay('c')
        await app.query('select pglobalxact.await()')
        await none.stop('immediate')
        try {
            await app.query('begin')
            await app.query(`select pglobalxact.exec('c', 'update account set balance = balance + 1')`)
            await refused(pay('none'), {
                code: '08001',
                message: /^cannot connect to node "none" as role "app": could not establish connection$/,
                detail: /Connection refused/,
                hint: /^Is the node up\? See: select \* from pglobalxact\.nodes\(\);$/
            })
            await app.query('commit') // answers ROLLBACK
        } finally {
            await none.start()
            await fillAccounts(world)
        }
    })

    describe('a role', () => {
        const become = async (name: string, rights = '') => {
            await world.sql(`do $$ begin create role ${name}; exception when duplicate_object then null; end $$;
        grant pglobalxact_user to ${name}; grant ${name} to app; ${rights}`)
            await app.query(`set role ${name}`)
        }

        it('that has no user mapping for it', async () => {
            await become('unmapped', 'grant usage on foreign server c to unmapped')
            await refused(pay('c'), {
                code: '42704',
                message: /^cannot connect to node "c" as role "unmapped": user mapping not found for (user )?"unmapped"/,
                hint: /^Give the role a user mapping: CREATE USER MAPPING FOR unmapped SERVER c OPTIONS \(user '…', password '…'\);$/
            })
            await refused(value(app, `select pglobalxact.enlist('c')`), {
                code: '42704',
                message: /user mapping not found/,
                hint: /CREATE USER MAPPING FOR unmapped SERVER c/
            })
        })

        it('that may not use its foreign server', async () => {
            await become(
                'unpermitted',
                `drop user mapping if exists for unpermitted server c; create user mapping for unpermitted server c options (user 'node_app', password 'x')`
            )
            await refused(pay('c'), {
                code: '42501',
                message: /^cannot connect to node "c" as role "unpermitted": permission denied for foreign server c$/,
                hint: /^Let the role use the server: GRANT USAGE ON FOREIGN SERVER c TO unpermitted;$/
            })
        })

        it('whose password there is wrong: the message does not show it', async () => {
            await become(
                'mistaken',
                `grant usage on foreign server c to mistaken; drop user mapping if exists for mistaken server c;
        create user mapping for mistaken server c options (user 'node_app', password 'wrong-secret-9')`
            )
            const error = await refused(pay('c'), {
                code: '08001',
                message: /^cannot connect to node "c" as role "mistaken": could not establish connection$/,
                detail: /password authentication failed for user "node_app"/,
                hint: /^Is the node up\?/
            })
            expect(JSON.stringify(error)).not.to.contain('wrong-secret-9')
        })

        it('that is let in without a password, which dblink does not allow', async () => {
            await become(
                'trusting',
                `grant usage on foreign server c to trusting; drop user mapping if exists for trusting server c;
        create user mapping for trusting server c options (user 'node_app')`
            )
            await refused(pay('c'), {
                code: '2F003',
                message: /^cannot connect to node "c" as role "trusting": password (or GSSAPI delegated credentials )?(is )?required$/,
                hint: /^The node must ask this role for a password, and the user mapping must hold it/
            })
        })
    })
})
