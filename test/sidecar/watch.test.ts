import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Client } from 'pg'
import { until } from '../support/wait'
import { World } from '../support/world'
import { allowWatching, feedOf, logicalCluster, prepareOn, PUBLISHING, streams } from './watching'

interface Row extends Record<string, unknown> {
    readonly node: string
    readonly step: number
    readonly relation: string
    readonly operation: string
    readonly old_row: Record<string, string | null> | null
    readonly new_row: Record<string, string | null> | null
    readonly total: string
}

describe('a watched node', () => {
    let world: World
    let client: Client

    before(async () => {
        const [b, c] = await Promise.all([logicalCluster('lb'), logicalCluster('lc')])
        // Nothing but the stream can tell the sidecar in time: its turns are ten minutes apart.
        world = await World.create({ name: 'watch', clusters: { b, c }, sidecarArgs: ['--scan-interval', '600000'] })
        await allowWatching(world, 'b', 'c')
        await world.node(
            'b',
            'create table note (id int primary key, text text, more text); alter table note replica identity full; grant all on note to node_app'
        )
        for (const node of ['b', 'c']) {
            const items = await world.admin<{ item: string; ok: boolean; detail: string }>('select * from pglobalxact.watch_node($1)', [
                node
            ])
            expect(
                items.filter(({ ok }) => !ok),
                JSON.stringify(items)
            ).to.deep.equal([])
        }
        client = await world.connect()
    })
    after(() => world?.destroy())

    const changes = (set: string, more = ''): Promise<Row[]> => world.admin<Row>(`select * from pglobalxact.changes($1${more})`, [set])

    it('has a feed of what was prepared and committed on it, in the order of its WAL', async () => {
        const id = await world.transfer(client)
        await client.query('commit')
        const rows = await feedOf(world, id, 4)
        expect(rows.map(({ node, event, changed }) => [node, event, changed])).to.deep.equal([
            ['b', 'prepare', '1'],
            ['b', 'commit prepared', null],
            ['c', 'prepare', '1'],
            ['c', 'commit prepared', null]
        ])
        expect(await world.sql('select 1 where $1::pg_lsn < $2::pg_lsn', [rows[0]!.lsn, rows[1]!.lsn])).to.have.lengthOf(1)
        const rest = await world.sql('select event from pglobalxact.feed($1, after => $2)', ['b', rows[0]!.lsn])
        expect(rest).to.deep.equal([{ event: 'commit prepared' }])
    })

    it('shows the rows that a branch in doubt would change, and forgets them with its set', async () => {
        await world.node('b', "insert into note values (1, 'first', repeat('x', 10)), (2, 'second', null)")
        const { id } = await prepareOn(
            world,
            'b',
            client,
            "insert into note values (3, 'it''s new', null)",
            "update note set text = 'changed' where id = 1",
            'delete from note where id = 2',
            'update account set balance = balance + 5'
        )
        const rows = await until('the rows are there', async () => {
            const found = await changes(id)
            return found.length === 4 && found
        })
        expect(rows.map(({ node, relation, operation, total }) => [node, relation, operation, total])).to.deep.equal([
            ['b', 'public.note', 'insert', '4'],
            ['b', 'public.note', 'update', '4'],
            ['b', 'public.note', 'delete', '4'],
            ['b', 'public.account', 'update', '4']
        ])
        expect(rows.map(({ old_row }) => old_row)).to.deep.equal([
            null,
            { id: '1', text: 'first', more: 'xxxxxxxxxx' },
            { id: '2', text: 'second', more: null },
            { id: '1' }
        ])
        expect(rows[0]!.new_row).to.deep.equal({ id: '3', text: "it's new", more: null })
        expect(rows[1]!.new_row).to.deep.equal({ id: '1', text: 'changed', more: 'xxxxxxxxxx' })
        expect(await changes(id, ", node => 'c'")).to.deep.equal([])
        const [plan] = await world.admin<{ at_stake: string }>('select * from pglobalxact.force_rollback($1)', [id])
        expect(plan!.at_stake).to.contain(
            'changes 4 rows (delete public.note 1, insert public.note 1, update public.account 1, update public.note 1)'
        )
        await client.query('rollback')
        await feedOf(world, id, 2)
        await until('nothing is kept of it', async () => {
            await world.sql('select pglobalxact._purge()')
            return (await world.sql('select gid from pglobalxact.decoded_branch')).length === 0
        })
        expect(await changes(id)).to.deep.equal([])
    })

    it('settles an abort after PREPARE although nobody looks at the node', async () => {
        const { gid } = await prepareOn(world, 'b', client, 'update account set balance = balance + 7')
        expect(await world.prepared()).to.deep.equal([gid])
        await client.query('rollback')
        await until('it is rolled back', async () => (await world.prepared()).length === 0)
        expect((await feedOf(world, gid, 2)).map(({ event }) => event)).to.deep.equal(['prepare', 'rollback prepared'])
    })

    it('streams what is large before it is prepared, without what savepoints undid, and counts what it does not keep', async () => {
        const many = (from: number, to: number): string =>
            `insert into note select n, repeat('y', 100), null from generate_series(${from}, ${to}) n`
        const { id, gid } = await prepareOn(
            world,
            'b',
            client,
            many(10_001, 13_000),
            'savepoint s',
            many(20_001, 23_000),
            'rollback to savepoint s',
            many(30_001, 30_500)
        )
        const [line] = await feedOf(world, gid, 1)
        expect(line!.changed).to.equal('3500')
        const rows = await changes(id)
        expect(rows).to.have.lengthOf(1000)
        expect(rows[0]!.total).to.equal('3500')
        expect(rows.filter(({ new_row }) => Number(new_row!['id']) > 20_000 && Number(new_row!['id']) <= 23_000)).to.deep.equal([])
        // What cannot be streamed waits on the node's disk.
        const figure = world.nodes.get('b')!.versionNum < PUBLISHING ? 'spill_txns' : 'stream_txns'
        const streamed = await world.node<{ txns: string }>('b', `select ${figure}::text as txns from pg_stat_replication_slots`)
        expect(streamed.map(({ txns }) => Number(txns) > 0)).to.deep.equal([true])
        await client.query('rollback')
        await until('it is rolled back', async () => (await world.prepared()).length === 0)
    })

    it('puts no value of a row into the log, a state file, a request or a notification', async () => {
        const heard: string[] = []
        const listener = await world.connect('watcher')
        listener.on('notification', ({ payload }) => heard.push(payload ?? ''))
        await listener.query('listen pglobalxact')
        const secret = 'user-data-4711'
        const { id, gid } = await prepareOn(world, 'b', client, `insert into note values (50, '${secret}', null)`)
        await feedOf(world, gid, 1)
        expect(JSON.stringify(await changes(id))).to.contain(secret)
        await world.admin('select * from pglobalxact.force_rollback($1)', [id])
        await client.query('rollback')
        await until('it is rolled back', async () => (await world.prepared()).length === 0)
        const files = readdirSync(world.stateDir, { withFileTypes: true })
            .filter((file) => file.isFile())
            .map(({ name }) => readFileSync(join(world.stateDir, name), 'utf8'))
        const tables = await world.sql(
            'select to_jsonb(q) from pglobalxact.request q union all select to_jsonb(e) from pglobalxact.event e union all select to_jsonb(b) from pglobalxact.branch_status b'
        )
        expect(tables).to.not.deep.equal([])
        for (const text of [...world.sidecar!.logs, ...files, ...heard, JSON.stringify(tables)]) expect(text).to.not.contain(secret)
    })

    it('keeps the rows of a branch in doubt through the death of the sidecar, and a restart of the node', async () => {
        const { id, gid } = await prepareOn(world, 'b', client, "insert into note values (60, 'kept', null)")
        await feedOf(world, gid, 1)
        await world.sidecar!.kill()
        await world.startSidecar()
        await streams(world, 'b')
        await until('the rows are known again', async () => (await changes(id)).length === 1)
        // A slot's stream that confirms nothing must not keep the server from stopping.
        await world.nodes.get('b')!.restart('fast')
        await streams(world, 'b')
        expect((await changes(id)).map(({ new_row }) => new_row!['text'])).to.deep.equal(['kept'])
        expect(await feedOf(world, gid, 1)).to.have.lengthOf(1)
        await client.query('rollback')
        await until('it is rolled back', async () => (await world.prepared()).length === 0)
        expect(await feedOf(world, gid, 2)).to.have.lengthOf(2)
    })
})
