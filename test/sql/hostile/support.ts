/** A role with nothing, on the coordinator and on the nodes, and what the tests of its doings share. */
import { expect } from 'chai'
import type { Client } from 'pg'
import { fillAccounts, value } from '../../support/refused'
import { PASSWORDS, World } from '../../support/world'

/** For the top of a describe: a world of its own, as it is and working before each test. `own` is its coordinator id. */
export function hostileWorld(name: string, ready: (world: World, own: string) => void) {
    let world: World
    let own: string
    const clients: Client[] = []

    before(async () => {
        world = await World.create({ name })
        own = (await world.sql<{ id: string }>('select id from pglobalxact.coordinator'))[0]!.id
        const make = `do $$ begin create role nobody_here login password 'nobody-7'; exception when duplicate_object then null; end $$;
            grant create, usage on schema public to nobody_here`
        await world.sql(make)
        for (const node of world.nodes.keys()) await world.node(node, make)
        ready(world, own)
    })
    after(() => world?.destroy())
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)))
        if (world.sidecar?.running !== true) await world.startSidecar()
        await world.settled()
    })

    const keep = async (client: Promise<Client>): Promise<Client> => {
        clients.push(await client)
        return client
    }
    const app = () => keep(world.coordinator.connect(world.login('app')))
    const nobody = (application_name = '') =>
        keep(world.coordinator.connect({ database: world.database, user: 'nobody_here', password: 'nobody-7', application_name }))
    const onNode = (user: 'nobody_here' | 'node_app', application_name = '', node = 'b') =>
        keep(
            world.nodes.get(node)!.connect({
                database: world.database,
                user,
                password: user === 'node_app' ? PASSWORDS.node_app : 'nobody-7',
                application_name
            })
        )
    /** A set of a victim commits and is finished everywhere. */
    async function setWorks(): Promise<void> {
        const before = await world.balances()
        const victim = await app()
        await world.transfer(victim)
        await victim.query('commit')
        expect(await value(victim, 'select pglobalxact.await()')).to.equal('committed')
        const after = await world.balances()
        expect([after['a']! - before['a']!, after['b']! - before['b']!, after['c']! - before['c']!]).to.deep.equal([-20, 10, 10])
    }
    const prepared = (node = 'b') =>
        world.node<{ gid: string; owner: string }>(
            node,
            'select gid, owner from pg_prepared_xacts where database = current_database() order by gid'
        )
    async function prepareAs(gid: string, user: 'nobody_here' | 'node_app' = 'nobody_here', node = 'b'): Promise<void> {
        const client = await onNode(user, '', node)
        await client.query('begin; select pg_current_xact_id()')
        await client.query(`prepare transaction '${gid}'`)
    }
    const gidOf = async (xid: string, node: number): Promise<string> => {
        const [found] = await world.sql<{ n: string }>('select pglobalxact._nonce($1, $2::xid8, pg_postmaster_start_time()) as n', [
            own,
            xid
        ])
        return `pgx_${own}_${xid}_${found!.n}_${node}`
    }
    const rollbackAll = async (): Promise<void> => {
        for (const node of world.nodes.keys())
            for (const { gid } of await prepared(node)) await world.node(node, `rollback prepared '${gid}'`).catch(() => undefined)
    }

    return { keep, app, nobody, onNode, setWorks, prepared, prepareAs, gidOf, rollbackAll }
}
