import { expect } from 'chai'
import type { Client } from 'pg'
import { startCluster, type Cluster } from '../support/cluster'
import { psql, requirePsql } from '../support/psql'
import { until } from '../support/wait'
import { PASSWORDS, World, sharedCluster } from '../support/world'

interface Line extends Record<string, unknown> {
    readonly place: string
    readonly manager: string | null
    readonly gid: string | null
    readonly database: string | null
    readonly blocked: number | null
    readonly holds_back: number | null
    readonly locks: string | null
    readonly note: string
}

/** As pgjdbc writes an Xid of Narayana: format, global transaction id and branch qualifier in base64. */
const XA = '131077_AAAAAAAAAAAAAP//fwABAY0=_AAAAAAAAAAAAAP//fwABAY0AAAAF'

describe('prepared()', () => {
    let world: World
    let other: string
    const open: Client[] = []

    before(async () => {
        world = await World.create({ name: 'prepared', proxied: true })
        // Node d is another database of b's server; "other" is a database there that is no node.
        const b = world.nodes.get('b')!
        other = `${world.database}_other`
        for (const name of [`${world.database}_d`, other]) {
            await b.createDatabase(name)
            await b.query('create table t (id int)', [], name)
        }
        await b.query('grant create on schema public to node_app', [], `${world.database}_d`)
        await world.createServer('d', b, `${world.database}_d`)
        await world.admin("select * from pglobalxact.add_node('d')")
    })
    afterEach(async () => {
        await Promise.all(open.splice(0).map((client) => client.end()))
        for (const cluster of [world.coordinator, ...world.nodes.values()])
            for (const { gid, database } of await cluster.query<{ gid: string; database: string }>(
                "select gid, database from pg_prepared_xacts where database like $1 and gid !~ '^pgx_'",
                [`${world.database}%`]
            ))
                await cluster.query(`rollback prepared '${gid}'`, [], database)
    })
    after(async () => {
        const b = world?.nodes.get('b')
        await world?.destroy()
        for (const name of [`${world.database}_d`, other]) await b?.dropDatabase(name)
    })

    const look = async (): Promise<Line[]> => {
        const rows = await world.admin<Line>('select * from pglobalxact.prepared()')
        return rows.filter((row) => row.database === null || row.database.startsWith(world.database))
    }
    const prepare = (cluster: Cluster, database: string, gid: string, sql: string): Promise<unknown> =>
        cluster.query(`begin; ${sql}; prepare transaction '${gid}'`, [], database)
    const session = async (node: string): Promise<Client> => {
        const client = await world.nodes.get(node)!.connect({ database: world.database })
        open.push(client)
        return client
    }
    /** Starts a statement that is going to wait, and returns when it does. */
    const wait = async (node: string, sql: string): Promise<void> => {
        const client = await session(node)
        const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
        void client.query(sql).catch(() => undefined)
        await until(
            'it waits',
            async () => (await world.node(node, 'select from pg_locks where pid = $1 and not granted', [rows[0]!.pid])).length > 0
        )
    }

    it("shows what is prepared on every node and here, whoever prepared it, a node's oldest first, and whom to ask", async () => {
        const [b, c] = [world.nodes.get('b')!, world.nodes.get('c')!]
        await prepare(c, world.database, XA, 'update account set balance = balance')
        await prepare(b, world.database, 'nightly', 'lock account in share mode; insert into account values (2, 1)')
        await prepare(world.coordinator, world.database, `_sa_${'0'.repeat(32)}`, 'create table t1 (id int)')
        expect(await look()).to.containSubset([
            {
                place: 'c',
                manager: 'XA: Narayana',
                gid: XA,
                database: world.database,
                owner: 'postgres',
                blocked: 0,
                locks: 'account RowExclusive',
                note: 'not ours: ask its manager'
            },
            { place: 'b', manager: 'unknown', gid: 'nightly', locks: 'account Share', note: 'not ours: ask who works as role "postgres"' },
            { place: 'coordinator', manager: 'SQLAlchemy', note: 'not ours: ask its manager' }
        ])
        await prepare(b, world.database, 'later', 'select pg_current_xact_id()')
        const rows = await look()
        const at = (gid: string): Line => rows.find((row) => row.gid === gid)!
        expect(rows.indexOf(at('nightly'))).to.be.lessThan(rows.indexOf(at('later')))
        expect(at('nightly').holds_back).to.be.greaterThan(0)
        expect(at(`_sa_${'0'.repeat(32)}`).locks).to.match(/^oid \d+ AccessExclusive/)
    })

    it('says of our own branches what becomes of them', async () => {
        const app = await world.connect()
        await app.query('begin')
        const { rows } = await app.query<{ gid: string }>("select pglobalxact.enlist('b') as gid")
        const gid = rows[0]!.gid
        const node = await world.nodes.get('b')!.connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
        open.push(node)
        await node.query(`begin; update account set balance = balance; prepare transaction '${gid}'`)
        expect(await look()).to.containSubset([
            { place: 'b', manager: 'this coordinator', gid, owner: 'node_app', note: 'left alone: its local transaction is still running' }
        ])
        // A decided branch that its node refuses: someone took the right to finish it away.
        await world.withdraw('b')
        try {
            await app.query('commit')
            const line = await until('its trouble is shown', async () => (await look()).find((row) => /attempts failed/.test(row.note)))
            expect(line.note).to.match(
                /^settled by this sidecar: commit, as its local transaction committed; \d+ attempts failed: permission denied/
            )
        } finally {
            await world.node('b', 'grant node_app to node_sidecar')
        }
        await world.settled()
        expect(await look()).to.deep.equal([])
    })

    it('counts the sessions that wait for it, also behind one another, and no others', async () => {
        await prepare(world.nodes.get('b')!, world.database, 'row', 'update account set balance = 7 where id = 1')
        await prepare(world.nodes.get('b')!, world.database, 'elsewhere', 'insert into account values (77, 1)')
        const count = async (): Promise<Record<string, number | null>> =>
            Object.fromEntries((await look()).map((row) => [row.gid!, row.blocked]))
        // The first waits for the transaction, the second for the first one's tuple lock.
        await wait('b', 'update account set balance = 8 where id = 1')
        await wait('b', 'update account set balance = 9 where id = 1')
        expect(await count()).to.deep.equal({ row: 2, elsewhere: 0 })
        const holder = await session('b')
        await holder.query('select pg_advisory_lock(4711)')
        await wait('b', 'select pg_advisory_lock(4711)')
        expect(await count()).to.deep.equal({ row: 2, elsewhere: 0 })
        // For the table: behind both, and a reader behind that one.
        await wait('b', 'truncate account')
        await wait('b', 'select * from account')
        expect(await count()).to.deep.equal({ row: 4, elsewhere: 2 })
    })

    it('counts no session for a lock that is not in its way', async () => {
        const b = world.nodes.get('b')!
        await prepare(b, world.database, 'writes are locked out', 'lock account in share mode; select pg_current_xact_id()')
        await prepare(b, world.database, 'reads', 'select from account; select pg_current_xact_id()')
        await wait('b', 'update account set balance = 8 where id = 1')
        expect(Object.fromEntries((await look()).map((row) => [row.gid!, row.blocked]))).to.deep.equal({
            'writes are locked out': 1,
            reads: 0
        })
    })

    it('names three tables it locks, the strongest lock of each first, and counts the rest', async () => {
        await world.node(
            'b',
            'create schema s; create table s."T 1" (id int); create table t2 (id int); create table t3 (id int); create table t4 (id int)'
        )
        await prepare(
            world.nodes.get('b')!,
            world.database,
            'tables',
            'select from t2; insert into t3 values (1); lock t4 in exclusive mode; delete from s."T 1"; select from account; lock s."T 1" in share mode'
        )
        expect((await look())[0]!.locks).to.equal('t4 Exclusive, s."T 1" Share, t3 RowExclusive, 2 more')
    })

    it('lists each once, though two nodes are databases of one server: at its own node, else at the first', async () => {
        const b = world.nodes.get('b')!
        await prepare(b, world.database, 'in b', 'update account set balance = balance')
        await prepare(b, `${world.database}_d`, 'in d', 'insert into t values (1)')
        await prepare(b, other, 'in other', 'insert into t values (1)')
        const lines = (await look()).sort((one, two) => one.gid!.localeCompare(two.gid!))
        expect(lines.map(({ place, gid }) => `${gid} at ${place}`)).to.deep.equal(['in b at b', 'in d at d', 'in other at b'])
        // Names of another database cannot be known from here.
        expect(lines.map((line) => line.locks)).to.deep.equal(['account RowExclusive', 't RowExclusive', '1 relation'])
    })

    it('has one row for a node that does not answer, and waits for no longer than that node may take', async () => {
        await prepare(world.nodes.get('c')!, world.database, XA, 'update account set balance = balance')
        await prepare(world.nodes.get('b')!, `${world.database}_d`, 'in d', 'insert into t values (1)')
        world.proxies.get('b')!.blackhole()
        try {
            const lines = await look()
            expect(lines[0]).to.include({ place: 'b', gid: null, manager: null })
            expect(lines[0]!.note).to.match(/^does not answer: /)
            expect(lines.slice(1).map(({ place, gid }) => [place, gid])).to.have.deep.members([
                ['c', XA],
                ['d', 'in d']
            ])
        } finally {
            await world.proxies.get('b')!.restore()
        }
    })

    it('without a sidecar shows this server, and says in a notice that the nodes were not asked', async function () {
        requirePsql.call(this)
        await prepare(world.coordinator, world.database, 'here', 'update account set balance = balance')
        await prepare(world.nodes.get('c')!, world.database, XA, 'update account set balance = balance')
        await world.sidecar!.stop()
        try {
            const { stdout, stderr } = await psql(
                world.coordinator,
                world.login('watcher'),
                'select place, gid from pglobalxact.prepared();',
                { args: ['-At'] }
            )
            expect(stdout).to.equal('coordinator|here\n')
            expect(stderr)
                .to.match(/^NOTICE: {2}the nodes could not be asked: no sidecar is running/)
                .and.match(/HINT: {2}Start it/)
        } finally {
            await world.startSidecar()
        }
    })

    it('works in a transaction block at REPEATABLE READ, read only, and in expanded display', async function () {
        requirePsql.call(this)
        await prepare(world.nodes.get('c')!, world.database, XA, 'update account set balance = balance')
        const script = `begin isolation level repeatable read read only;\n\\x\nselect place, manager from pglobalxact.prepared();\ncommit;\n`
        const { stdout, stderr } = await psql(world.coordinator, world.login('dba'), script)
        expect(stderr).to.equal('')
        expect(stdout).to.contain('place   | c\nmanager | XA: Narayana')
    })

    it('lists a thousand of a node, the oldest, and how many there are', async () => {
        const many = await startCluster({ name: 'many', settings: { max_prepared_transactions: 1100, fsync: false } })
        const crowded = await World.create({
            name: 'crowd',
            nodes: ['m'],
            clusters: { m: many },
            // Others may be using the machine.
            sidecarArgs: ['--node-timeout', '30000']
        })
        const client = await many.connect({ database: crowded.database })
        try {
            await client.query('create table t (id int)')
            for (let i = 1; i <= 1020; i++) await client.query(`begin; insert into t values (${i}); prepare transaction 'job ${i}'`)
            const rows = await crowded.admin<Line>('select * from pglobalxact.prepared()')
            const there = rows.filter((row) => row.place === 'm')
            expect(there).to.have.lengthOf(1001)
            expect([there[0]!.gid, there[999]!.gid]).to.deep.equal(['job 1', 'job 1000'])
            expect(there.at(-1)!.note).to.equal('20 younger ones are not listed: 1020 in all')
        } finally {
            const { rows } = await client.query<{ gid: string }>('select gid from pg_prepared_xacts')
            for (const { gid } of rows) await client.query(`rollback prepared '${gid}'`)
            await client.end()
            await crowded.destroy()
            await many.destroy()
        }
    })

    it('tells managers by the form of their gids, and nothing from other forms', async () => {
        await sharedCluster('a')
        const forms: Readonly<Record<string, string>> = {
            pgx_1a2b3c4d_951_672f3f8e_1: 'pglobalxact 1a2b3c4d',
            [XA]: 'XA: Narayana',
            '1096044365_dG0xMjM0NTY3OA==_cmVzMQ==': 'XA: Atomikos',
            '1114926712_YnRt_YnRt': 'XA: Bitronix',
            '42_Z3RyaWQ=_YnF1YWw=': 'XA',
            citus_0_12345_67_3: 'Citus',
            pgfdw_763_16389_4711_: 'postgres_fdw_plus',
            pgfdw_763_16389_4711_zurich: 'postgres_fdw_plus',
            __pgdog_2pc_42_0: 'PgDog',
            pg_gid_16394_771: 'logical replication',
            [`_sa_${'0123456789abcdef'.repeat(2)}`]: 'SQLAlchemy',
            '8d1c1ff1-6a0b-4d2f-9b7e-0a1b2c3d4e5f/4711': 'Npgsql',
            '1718900000-0000004711': 'Greenplum',
            _$XC$12345: 'Postgres-XL',
            'MTM-2-4711-5-7': 'multimaster',
            pgxr_1a2b3c4d_0123456789abcdef_7_0000000A: 'pglobalxact 1a2b3c4d, a restore point',
            pgx_1a2b3c4d_951_672f3f8e: 'unknown',
            '8d1c1ff1-6a0b-4d2f-9b7e-0a1b2c3d4e5f': 'unknown',
            '4711': 'unknown',
            x_y_z: 'unknown',
            '': 'unknown'
        }
        const rows = await world.sql<{ gid: string; manager: string }>(
            'select gid, pglobalxact._manager_of(gid) as manager from unnest($1::text[]) gid',
            [Object.keys(forms)]
        )
        expect(Object.fromEntries(rows.map(({ gid, manager }) => [gid, manager]))).to.deep.equal(forms)
    })
})
