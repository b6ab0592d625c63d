import { expect } from 'chai'
import type { Client } from 'pg'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'
import { feedOf, logicalCluster, prepareOn, PUBLISHING, streams, watched } from './watching'

describe('a watched node is never hurt', () => {
    let world: World
    let client: Client
    let publishes: boolean

    before(async () => {
        // c is shared, and has wal_level = replica.
        const b = await logicalCluster('lb')
        publishes = b.versionNum >= PUBLISHING
        world = await World.create({ name: 'watchbounds', clusters: { b } })
        client = await world.connect()
    })
    after(() => world?.destroy())

    const watch = (node: string, more = ''): Promise<unknown> => world.admin(`select * from pglobalxact.watch_node('${node}'${more})`)
    const slots = async (): Promise<unknown[]> => world.node('b', 'select slot_name from pg_replication_slots')
    const noSlot = (): Promise<unknown> => until('there is no slot', async () => (await slots()).length === 0)

    it('is refused as long as something is missing, with the command that mends it', async () => {
        await refused(watch('c'), { code: '55000', message: /wal_level is replica/, hint: /alter system set wal_level = logical/ })
        await world.node('b', 'alter role node_sidecar noreplication')
        await refused(watch('b'), {
            code: '55000',
            message: /role "node_sidecar".* may not replicate/,
            hint: /alter role "node_sidecar" replication;/
        })
        await world.node('b', 'alter role node_sidecar replication')
        if (publishes)
            await refused(watch('b'), {
                code: '55000',
                message: /publication "pglobalxact" does not exist/,
                hint: /create publication "pglobalxact" for all tables;/
            })
        else
            await refused(watch('b', ", publication => 'few'"), {
                code: '55000',
                message: /publication "few" would have no effect: PostgreSQL 14 decodes all tables/
            })
        await world.node('b', 'create publication pglobalxact for all tables')
        await refused(watch('nowhere'), { code: '42704', message: /node "nowhere" does not exist/ })
        await refused(watch('b', ", max_wal => 'much'"), { code: '22023', message: /max_wal "much"/ })
        await world.nodes.get('b')!.reload({ synchronous_standby_names: '*' })
        await refused(watch('b'), { code: '55000', message: /synchronous_standby_names has a \*/ })
        await world.nodes.get('b')!.reload({ synchronous_standby_names: null })
        expect(await slots()).to.deep.equal([])
        expect(await world.sql('select * from pglobalxact.watched()')).to.deep.equal([])
    })

    it('says where the plugin comes from, when the server has none of it', async function () {
        if (publishes) this.skip() // pgoutput is a part of every server
        const b = world.nodes.get('b')!
        await b.reload({ dynamic_library_path: '/nowhere' })
        const items = await world.admin<{ item: string; ok: boolean; detail: string }>("select * from pglobalxact.watch_node('b')")
        expect(items.filter(({ ok }) => !ok)).to.have.lengthOf(1)
        expect(items.at(-1)!.detail).to.match(/could not access file "test_decoding".*: the plugin is one of the server's contrib modules/)
        expect(await slots()).to.deep.equal([])
        await b.reload({ dynamic_library_path: null })
        await streams(world, 'b')
    })

    it('is no standby, and loses its slot when it is not watched any more, or no node', async () => {
        await watch('b')
        await streams(world, 'b')
        expect(await slots()).to.have.lengthOf(1)
        await world.admin('select * from pglobalxact.recover()')
        expect(await world.sql("select standbys from pglobalxact.nodes() where node = 'b'")).to.deep.equal([{ standbys: 'none' }])
        expect(await world.admin("select pglobalxact.unwatch_node('b') ~ 'was dropped' as done")).to.deep.equal([{ done: true }])
        expect(await slots()).to.deep.equal([])
        await refused(world.admin("select pglobalxact.unwatch_node('b')"), { code: '42704', message: /is not watched/ })
        await watch('b')
        await streams(world, 'b')
        await world.admin("select pglobalxact.remove_node('b')")
        await noSlot()
        await world.admin("select * from pglobalxact.add_node('b')")
        expect(await world.sql('select * from pglobalxact.watched()')).to.deep.equal([])
    })

    it('keeps no more WAL than it may: the slot is made anew, and the feed says so', async () => {
        await watch('b', ", max_wal => '16MB'")
        await streams(world, 'b')
        // As long as it runs the slot cannot let go of what it began in, whatever is confirmed.
        const old = await world.nodes.get('b')!.connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
        try {
            await old.query('begin; update account set balance = balance')
            const { rows } = await old.query<{ pid: number }>('select pg_backend_pid() as pid')
            for (let n = 0; n < 3; n++)
                await world.node('b', 'create table if not exists fill (n int); insert into fill values (1); select pg_switch_wal()')
            await until('its slot is dropped, and the new one waits for the old transaction', async () => {
                const row = await watched(world, 'b')
                if (row!.remade !== 1 || !new RegExp(`older transactions are over: pid ${rows[0]!.pid}\\b`).test(row!.message ?? ''))
                    throw new Error(JSON.stringify(row))
                return true
            })
            await old.query('rollback')
        } finally {
            await old.end()
        }
        await streams(world, 'b')
        expect(await world.sql("select event from pglobalxact.feed('b') where event = 'gap'")).to.deep.equal([{ event: 'gap' }])
        const id = await world.transfer(client, 1, ['b'])
        await client.query('commit')
        expect((await feedOf(world, id, 2)).map(({ event }) => event)).to.deep.equal(['prepare', 'commit prepared'])
    })

    it('goes on with a new slot where the server itself has given up the old one', async () => {
        await watch('b')
        await streams(world, 'b')
        const b = world.nodes.get('b')!
        await b.reload({ max_slot_wal_keep_size: '1MB' })
        const old = await b.connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
        const gaps = async (): Promise<number> => (await world.sql("select from pglobalxact.feed('b') where event = 'gap'")).length
        try {
            const before = await gaps()
            await old.query('begin; update account set balance = balance')
            for (let n = 0; n < 3; n++) await world.node('b', 'insert into fill values (1); select pg_switch_wal()')
            await world.node('b', 'checkpoint')
            await until('the feed says so', async () => (await gaps()) > before)
            await old.query('rollback')
        } finally {
            await old.end()
        }
        await b.reload({ max_slot_wal_keep_size: null })
        await streams(world, 'b')
        const id = await world.transfer(client, 1, ['b'])
        await client.query('commit')
        await feedOf(world, id, 2)
    })

    it('goes on with a publication that was made anew', async function () {
        if (!publishes) this.skip() // there are none to go by
        await watch('b')
        await streams(world, 'b')
        await world.node('b', 'drop publication pglobalxact')
        await until('that is told', async () => /publication "pglobalxact" does not exist/.test((await watched(world, 'b'))!.message ?? ''))
        await world.transfer(client, 1, ['b'])
        await client.query('commit')
        await world.node('b', 'create publication pglobalxact for all tables')
        await streams(world, 'b')
        const id = await world.transfer(client, 1, ['b'])
        await client.query('commit')
        await feedOf(world, id, 2)
    })

    it('does not wait for ever where a prepared transaction has locked a catalog table: it says which, and goes on after it', async () => {
        await watch('b')
        await streams(world, 'b')
        // The stream's session reads this catalog when it first meets a table with triggers.
        await world.node(
            'b',
            `create function nothing() returns trigger language plpgsql as 'begin return new; end';
             create table fresh (n int primary key); create trigger t before insert on fresh for each row execute function nothing()`
        )
        await world.node(
            'b',
            "begin; insert into fresh values (1); lock table pg_catalog.pg_trigger in access exclusive mode; prepare transaction 'someone''s'"
        )
        try {
            await until('it is told who blocks', async () => {
                const row = await watched(world, 'b')
                if (row!.state !== 'blocked' || !/prepared transaction '?'someone''s'/.test(row!.message ?? ''))
                    throw new Error(JSON.stringify(row))
                return true
            })
            await until('its session on the node is ended', async () => {
                const [slot] = await world.node<{ active: boolean }>('b', 'select active from pg_replication_slots')
                return slot?.active === false
            })
        } finally {
            await world.node('b', "rollback prepared 'someone''s'")
        }
        await streams(world, 'b')
        const { id, gid } = await prepareOn(world, 'b', client, 'update account set balance = balance + 1')
        await feedOf(world, gid, 1)
        expect(await world.admin('select * from pglobalxact.changes($1)', [id])).to.have.lengthOf(1)
        await client.query('rollback')
        await world.settled()
        await world.admin("select pglobalxact.unwatch_node('b')")
    })

    it('can be given up while it is away, and then it is said what is left there', async () => {
        await watch('b')
        await streams(world, 'b')
        const b = world.nodes.get('b')!
        await b.stop('fast')
        await until(
            'b is known to be away',
            async () => (await world.sql("select from pglobalxact.nodes() where node = 'b' and not reachable")).length === 1
        )
        await refused(world.admin("select pglobalxact.unwatch_node('b')"), {
            code: '55000',
            message: /could not be dropped/,
            hint: /abandon => true/
        })
        await refused(world.admin("select pglobalxact.remove_node('b')"), { code: '55000', message: /could not be dropped/ })
        const [said] = await world.admin<{ said: string }>("select pglobalxact.unwatch_node('b', abandon => true) as said")
        expect(said!.said).to.match(/there: select pg_drop_replication_slot\('pgx_/)
        await b.start()
        await world.node('b', /select .*;/.exec(said!.said)![0])
        expect(await slots()).to.deep.equal([])
        await world.nodesReached()
    })
})
