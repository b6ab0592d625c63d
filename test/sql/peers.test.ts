import { hostname } from 'node:os'
import { expect } from 'chai'
import type { Client } from 'pg'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'

/**
 * "a" is a coordinator with its nodes; the database of node b has pglobalxact too, and is the coordinator "second" of node c.
 * So second is at once a coordinator and a node, of another coordinator.
 */
describe('a node that is a coordinator itself', () => {
    let second: World
    let first: World
    let app: Client
    const host = hostname().split('.')[0]!

    before(async () => {
        second = await World.create({ name: 'second', nodes: ['c'] })
        // Node x of first is the database in which second is installed.
        first = await World.create({ name: 'first', nodes: ['c'] })
        await second.sql(`
            do $$ begin
                if to_regrole('node_app') is null then create role node_app login; end if;
                if to_regrole('node_sidecar') is null then create role node_sidecar login; end if;
            end $$;
            alter role node_app password '${PASSWORDS.node_app}'; alter role node_sidecar password '${PASSWORDS.node_sidecar}';
            grant node_app to node_sidecar; grant all on account to node_app`)
        await first.createServer('x', second.coordinator, second.database)
        await first.admin("select * from pglobalxact.add_node('x')")
        app = await first.connect()
    })
    after(async () => {
        await first?.destroy()
        await second?.destroy()
    })

    const coordinatorOf = async (world: World): Promise<string> =>
        (await world.sql<{ id: string }>('select id from pglobalxact.coordinator'))[0]!.id
    const peers = (): Promise<Record<string, unknown>[]> => second.sql('select coordinator, told, client_addr::text from pglobalxact.peer')
    const place = (): string => `host ${host}, port ${first.coordinator.port}, database ${first.database}`

    /** A branch of first, prepared in second's database; its local transaction is still open. */
    async function prepareThere(): Promise<string> {
        await app.query('begin')
        const { rows } = await app.query<{ gid: string }>("select pglobalxact.enlist('x') as gid")
        const node = await second.coordinator.connect({ database: second.database, user: 'node_app', password: PASSWORDS.node_app })
        await node.query(`begin; update account set balance = balance; prepare transaction '${rows[0]!.gid}'`)
        await node.end()
        return rows[0]!.gid
    }

    it('sees in sets() the branches of the other coordinator, and where to ask', async () => {
        const gid = await prepareThere()
        const own = await coordinatorOf(first)
        const [set] = await second.admin<{ set_id: string; phase: string; outcome: string; last_error: string; role: string }>(
            'select * from pglobalxact.sets()'
        )
        expect(gid).to.equal(`pgx_${own}_${set!.set_id}_${gid.split('_').at(-1)}`)
        expect(set).to.include({ phase: 'prepare', outcome: 'unknown', role: 'node_app' })
        const said = /^branch of coordinator (\w+): ask there \((.*)\): select \* from pglobalxact\.sets\(\)$/.exec(set!.last_error)!
        expect(said[1]).to.equal(own)
        // A long name of the database is cut in 63 bytes, and marked so.
        expect(place().startsWith(said[2]!.replace(/~$/, '')), said[2]).to.equal(true)
    })

    it('says the same in prepared(), and touches none of them', async () => {
        const own = await coordinatorOf(first)
        const rows = await second.admin<{ place: string; manager: string; note: string }>(
            'select * from pglobalxact.prepared() where database = current_database()'
        )
        expect(rows).to.have.lengthOf(1)
        expect(rows[0]).to.include({ place: 'coordinator', manager: `pglobalxact ${own}` })
        expect(rows[0]!.note).to.match(
            new RegExp(`^not ours: ask coordinator ${own} \\(host ${host}, port ${first.coordinator.port}, database `)
        )
        expect(await second.admin('select * from pglobalxact.recover()')).to.containSubset([{ node: 'c', prepared: 0 }])
        // The owner of the branch, asked in its turn, knows what is its own.
        const theirs = await first.admin<{ note: string }>(
            "select * from pglobalxact.prepared() where place = 'x' and manager = 'this coordinator'"
        )
        expect(theirs.map((row) => row.note)).to.deep.equal(['left alone: its local transaction is still running'])
    })

    it('remembers where to ask while the other sidecar is away', async () => {
        await until('the peer is written down', async () => (await peers()).length === 1)
        expect(await peers()).to.containSubset([{ coordinator: await coordinatorOf(first), client_addr: '127.0.0.1/32' }])
        await first.sidecar!.kill()
        await until('its sessions are gone', async () => (await second.sql('select from pglobalxact._connected_peers()')).length === 0)
        const [set] = await second.admin<{ last_error: string }>('select * from pglobalxact.sets()')
        expect(set!.last_error).to.match(new RegExp(`ask there \\(host ${host}, port ${first.coordinator.port}, database `))
        await second.sql('delete from pglobalxact.peer')
        const [unseen] = await second.admin<{ last_error: string }>('select * from pglobalxact.sets()')
        expect(unseen!.last_error).to.contain('ask there (host unknown: its sidecar has not been seen here)')
    })

    it('shows what is connected now also while no sidecar of its own runs', async () => {
        await second.sidecar!.stop()
        await first.startSidecar()
        await until('it is seen', async () =>
            (await second.admin<{ last_error: string }>('select * from pglobalxact.sets()'))[0]!.last_error.includes(`host ${host}`)
        )
        expect(await peers()).to.deep.equal([])
        await app.query('commit')
        await until('it is settled', async () => (await second.admin('select * from pglobalxact.sets()')).length === 0)
        await second.startSidecar()
    })

    it('never keeps more than a thousand of the names that anyone may take', async () => {
        await second.sql("insert into pglobalxact.peer select lpad(to_hex(i), 8, '0'), 'x/y', null, now() from generate_series(1, 1000) i")
        const liar = await second.coordinator.connect({
            database: second.database,
            application_name: 'pgx_ffffffff_sidecar_beef_1_deadbeef nowhere/no'
        })
        try {
            await second.sql('select pglobalxact._remember_peers()')
            expect(await second.sql("select from pglobalxact.peer where coordinator = 'ffffffff'")).to.have.lengthOf(0)
            await second.sql('delete from pglobalxact.peer')
            await second.sql('select pglobalxact._remember_peers()')
            expect(await second.sql("select told from pglobalxact.peer where coordinator = 'ffffffff'")).to.deep.equal([
                { told: 'nowhere/no' }
            ])
        } finally {
            await liar.end()
        }
    })
})
