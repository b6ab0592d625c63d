import { expect } from 'chai'
import { Client } from 'pg'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'
import { allowWatching, feedOf, logicalCluster, prepareOn, PUBLISHING, streams, watched } from './watching'

/** The first class of the fence's lock. */
const FENCE = 0x70677835

interface Slot extends Record<string, unknown> {
    readonly slot_name: string
    readonly active_pid: number | null
    /** Whether nothing before the position need be kept. */
    readonly passed: boolean
}

describe('the stream of a watched node', () => {
    let world: World
    let client: Client
    let name: string
    let plugin: string

    before(async () => {
        const b = await logicalCluster('lg', { wal_sender_timeout: '2s' })
        plugin = b.versionNum < PUBLISHING ? 'test_decoding' : 'pgoutput'
        world = await World.create({ name: 'watchguards', nodes: ['b'], clusters: { b } })
        await allowWatching(world, 'b')
        client = await world.connect()
        await watch()
        await streams(world, 'b')
        name = (await slot())!.slot_name
    })
    after(() => world?.destroy())

    const watch = (): Promise<unknown> => world.admin("select * from pglobalxact.watch_node('b')")
    const unwatch = (): Promise<unknown> => world.admin("select pglobalxact.unwatch_node('b')")
    const slot = async (position = '0/0'): Promise<Slot | undefined> =>
        (
            await world.node<Slot>(
                'b',
                `select slot_name, active_pid, confirmed_flush_lsn >= '${position}'::pg_lsn as passed from pg_replication_slots where database = current_database()`
            )
        )[0]

    it('tells of the gids of its own coordinator and node alone, unless all are asked for', async () => {
        const [, coordinator, node] = /^pgx_([0-9a-f]{8})_(\d+)$/.exec(name)!
        const others = [
            `pgx_${coordinator === 'deadbeef' ? 'feedbeef' : 'deadbeef'}_5_0000beef_${node}`,
            `pgx_${coordinator}_5_0000beef_${Number(node) + 7}`,
            'another'
        ]
        for (const gid of others) {
            await world.node('b', `begin; update account set balance = balance + 0; prepare transaction '${gid}'`)
            await world.node('b', `rollback prepared '${gid}'`)
        }
        const id = await world.transfer(client, 1, ['b'])
        await client.query('commit')
        await feedOf(world, id, 2)
        expect((await world.sql('select * from pglobalxact.feed()')).length).to.equal(2)
        await until('nothing is held', async () => (await watched(world, 'b'))!['held'] === 0)
        expect(await world.sql('select gid from pglobalxact.decoded_branch')).to.deep.equal([])
    })

    it('lets go of the WAL of a branch that stays in doubt, and has its rows all the same', async () => {
        const { id, gid } = await prepareOn(world, 'b', client, 'update account set balance = balance + 1')
        const [line] = await feedOf(world, gid, 1)
        await until('it is let go of', async () => (await slot(line!.lsn))!.passed)
        await world.sidecar!.kill()
        await world.startSidecar()
        await streams(world, 'b')
        expect(await world.admin('select * from pglobalxact.changes($1)', [id])).to.have.lengthOf(1)
        await client.query('rollback')
        await world.settled()
    })

    it('does not let go of what the coordinator could not write down yet', async () => {
        await world.admin("select * from pglobalxact.watch_node('b', all_gids => true)")
        const gid = 'warehouse-1'
        const locker = await world.coordinator.connect({ database: world.database })
        try {
            await locker.query('begin; lock table pglobalxact.decoded_event in access exclusive mode')
            // Another manager's, of which there is a line in the feed, and nothing else.
            await world.node('b', `begin; update account set balance = balance + 0; prepare transaction '${gid}'`)
            await world.node('b', `rollback prepared '${gid}'`)
            const [{ at } = { at: '' }] = await world.node<{ at: string }>('b', 'select pg_current_wal_lsn()::text as at')
            await until('the sidecar says that it has received it', async () => {
                const rows = await world.node(
                    'b',
                    `select from pg_stat_replication r where r.pid = (select s.active_pid from pg_replication_slots s where s.slot_name = '${name}') and r.write_lsn >= '${at}'`
                )
                return rows.length === 1
            })
            expect((await slot(at))!.passed).to.equal(false)
            await world.sidecar!.kill()
            await locker.query('rollback')
            await world.startSidecar()
            expect((await feedOf(world, gid, 2)).map(({ event }) => event)).to.deep.equal(['prepare', 'rollback prepared'])
        } finally {
            await locker.end()
        }
        await streams(world, 'b')
    })

    it('keeps the rows that it has of a branch which is sent again when it was rolled back meanwhile', async () => {
        await world.admin("select * from pglobalxact.watch_node('b', all_gids => true)")
        const more = 'insert into account select n, 0 from generate_series(1001, 1005) n'
        const { id, gid } = await prepareOn(world, 'b', client, more)
        await feedOf(world, gid, 1)
        await world.node('b', `rollback prepared '${gid}'`)
        const { active_pid } = (await slot())!
        await world.node('b', `select pg_terminate_backend(${active_pid})`)
        await until('it streams again', async () => ![null, active_pid].includes((await slot())!.active_pid))
        // What comes behind has come: so has what was sent again.
        await world.node('b', `begin; update account set balance = balance + 0; prepare transaction 'behind'`)
        await world.node('b', `rollback prepared 'behind'`)
        await feedOf(world, 'behind', 2)
        expect(await world.admin('select * from pglobalxact.changes($1)', [id])).to.have.lengthOf(5)
        await client.query('rollback')
    })

    it('takes the slot back from a session of a sidecar that is gone', async () => {
        await world.sidecar!.stop()
        const stale = new Client({
            ...{
                host: '127.0.0.1',
                port: world.nodes.get('b')!.port,
                database: world.database,
                user: 'node_sidecar',
                password: PASSWORDS.node_sidecar
            },
            replication: 'database'
        } as ConstructorParameters<typeof Client>[0])
        stale.on('error', () => undefined)
        await stale.connect()
        // Nothing but the sidecar ends it.
        await stale.query('set wal_sender_timeout = 0')
        try {
            const options = plugin === 'pgoutput' ? ` (proto_version '3', publication_names 'pglobalxact')` : ''
            const ended = stale.query(`START_REPLICATION SLOT ${name} LOGICAL 0/0${options}`).then(
                () => 'ended',
                () => 'ended'
            )
            await until('it streams', async () => (await slot())!.active_pid !== null)
            await world.startSidecar()
            await streams(world, 'b')
            expect(await ended).to.equal('ended')
        } finally {
            await stale.end().catch(() => undefined)
        }
    })

    it('does not begin while another sidecar holds the fence', async () => {
        await world.sidecar!.stop()
        const rival = await world.nodes
            .get('b')!
            .connect({ database: world.database, user: 'node_sidecar', password: PASSWORDS.node_sidecar })
        try {
            const [own] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
            await rival.query('select pg_advisory_lock($1, $2)', [FENCE, Number.parseInt(own!.id, 16) | 0])
            await world.startSidecar()
            await until('it says so', async () => {
                const row = await watched(world, 'b')
                if (row?.state !== 'not connected') throw new Error(JSON.stringify(row))
                return true
            })
            expect((await slot())!.active_pid).to.equal(null)
        } finally {
            await rival.end()
        }
        await streams(world, 'b')
    })

    it("leaves a slot of its name alone that is somebody else's", async () => {
        await unwatch()
        await world.node(
            'b',
            `select pg_create_logical_replication_slot('${name}', '${plugin === 'pgoutput' ? 'test_decoding' : 'pgoutput'}')`
        )
        await refused(watch(), { code: '55000', message: /slot "pgx_.*" is another one/, hint: /pg_drop_replication_slot/ })
        expect(await slot()).to.include({ slot_name: name, active_pid: null })
        await world.node('b', `select pg_drop_replication_slot('${name}')`)
        await watch()
        await streams(world, 'b')
    })
})
