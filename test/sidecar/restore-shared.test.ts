import { expect } from 'chai'
import type { Cluster } from '../support/cluster'
import { startSidecar } from '../support/process'
import { until } from '../support/wait'
import { PASSWORDS } from '../support/world'
import { newStateDir } from './common'
import { Ground, STATES, TIMES } from './restore/ground'

const MARKS = "select gid from pg_prepared_xacts where database = current_database() and gid like 'pgxr%'"

/** Node d is another database on b's server, and node e on the coordinator's own. */
describe('a restore point of servers that hold several of the databases', () => {
    let ground: Ground
    beforeEach(async function () {
        this.timeout(120_000)
        ground = await Ground.create('shared')
        await ground.permit()
        await addDatabase('d', ground.servers.b.cluster)
        await addDatabase('e', ground.servers.a.cluster)
    })
    afterEach(() => ground?.destroy())

    const databaseOf = (node: string): string => `${ground.world.database}_${node}`
    const there = <R extends Record<string, unknown>>(node: 'd' | 'e', text: string): Promise<R[]> =>
        ground.servers[node === 'd' ? 'b' : 'a'].cluster.query<R>(text, [], databaseOf(node))

    async function addDatabase(node: 'd' | 'e', cluster: Cluster): Promise<void> {
        await cluster.createDatabase(databaseOf(node))
        await there(
            node,
            `do $$ begin
                if to_regrole('node_app') is null then create role node_app login; create role node_sidecar login; end if;
            end $$;
            alter role node_app password '${PASSWORDS.node_app}'; alter role node_sidecar password '${PASSWORDS.node_sidecar}';
            grant node_app to node_sidecar;
            create table account (id int primary key, balance bigint not null);
            insert into account values (1, 1000);
            grant all on account to node_app;
            grant execute on function pg_create_restore_point(text) to node_sidecar`
        )
        await ground.world.createServer(node, cluster, databaseOf(node))
        await ground.world.admin(`select * from pglobalxact.add_node('${node}')`)
    }

    /** A set that adds 10 on every node: its id. */
    async function commit(): Promise<string> {
        const client = await ground.world.connect()
        const set = await ground.world.transfer(client, 10, ['b', 'c', 'd', 'e'])
        await client.query('commit')
        await client.query('select pglobalxact.await()')
        return set
    }
    async function balances(): Promise<Record<string, number>> {
        const read = async (node: 'd' | 'e') => Number((await there(node, 'select balance from account where id = 1'))[0]!['balance'])
        return { ...(await ground.world.balances()), d: await read('d'), e: await read('e') }
    }
    const marks = async (): Promise<unknown[]> => [...(await ground.marks()), ...(await there('d', MARKS)), ...(await there('e', MARKS))]
    const reached = (home: string): Promise<unknown> =>
        until(
            'the sidecar has looked at every node',
            async () =>
                (await ground.world.sql('select from pglobalxact.home where id = $1', [home])).length === 1 &&
                (
                    await ground.world.sql(
                        "select from pglobalxact.node_status n, pglobalxact.sidecar s where n.checked_at > s.started_at and n.fence = 'held'"
                    )
                ).length === 4
        )

    it('is one moment for all of them, after the recovery of every server', async function () {
        this.timeout(120_000)
        const { world, servers } = ground
        await ground.backUp()
        const before = await commit()
        // Prepared on two databases of one server, and not decided.
        const client = await world.connect()
        await client.query('begin')
        const gids = (await client.query<{ b: string; d: string }>("select pglobalxact.enlist('b') as b, pglobalxact.enlist('d') as d"))
            .rows[0]!
        await ground.prepare('b', gids.b, 77)
        const own = await servers.b.cluster.connect({ database: databaseOf('d'), user: 'node_app', password: PASSWORDS.node_app })
        await own.query(`begin; insert into account values (77, 0); prepare transaction '${gids.d}'`)
        await own.end()
        const manifest = await ground.point('shared')
        expect(manifest.servers.map(({ node }) => node)).to.deep.equal(['(coordinator)', 'b', 'c', 'd', 'e'])
        expect(await marks()).to.deep.equal([])
        const sums = await balances()
        await client.query('commit')
        await commit()
        await ground.archived()
        await world.sidecar!.stop()
        await Promise.all(Object.values(servers).map((server) => server.restoreTo('shared')))
        expect(await marks(), 'each database has its own').to.have.lengthOf(4)
        const sidecar = startSidecar({ stateDir: newStateDir(), databaseUrl: world.sidecarUrl, args: TIMES })
        world.sidecar = sidecar
        const [, home] = / home=([0-9a-f]{16})/.exec(await sidecar.waitForLog(/state directory read/))!
        await sidecar.waitForLog(/is not allowed to act/)
        await world.admin("select pglobalxact.adopt('restored')")
        await sidecar.waitForLog(/ acting /)
        await reached(home!)
        const rows = await ground.reconcile(manifest)
        expect(rows.filter(({ set_id }) => set_id === null).map(STATES)).to.deep.equal(
            ['(coordinator)', 'b', 'c', 'd', 'e'].map((server) => `${server} restored`)
        )
        await world.settled()
        expect(await marks()).to.deep.equal([])
        expect(await balances()).to.deep.equal(sums)
        expect(await there('d', 'select id from account where id = 77')).to.deep.equal([])
        expect(await ground.rowsOf('b')).to.deep.equal([])
        expect(await ground.outcome(before)).to.equal('committed')
        expect(await ground.outcome(await commit())).to.equal('committed')
    })

    it('restores both nodes of one server with one recovery: what is gone is named for each', async function () {
        this.timeout(120_000)
        const { world, servers } = ground
        await ground.backUp()
        await commit()
        const manifest = await ground.point('half')
        const after = await commit()
        await ground.archived()
        await servers.b.restoreTo('half')
        const back =
            "select from pglobalxact.node_status s join pglobalxact.node n on n.number = s.node where n.name in ('b', 'd') and s.reachable and s.timeline = '00000002'"
        await until('both are back, and seen through', async () => (await world.sql(back)).length === 2)
        const rows = await ground.reconcile(manifest)
        expect(rows.filter(({ set_id }) => set_id === null).map(STATES)).to.deep.equal([
            '(coordinator) not restored',
            'b restored',
            'c not restored',
            'd restored',
            'e not restored'
        ])
        expect(rows.filter(({ set_id }) => set_id !== null).map(({ server, set_id, state }) => [server, set_id, state])).to.deep.equal([
            ['b', after, 'mixed'],
            ['d', after, 'mixed']
        ])
        expect(await marks()).to.deep.equal([])
        await world.admin('select pglobalxact.acknowledge($1, $2)', [after, 'test'])
        await world.settled()
    })
})
