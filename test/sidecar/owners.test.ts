import { expect } from 'chai'
import type { Client } from 'pg'
import { until } from '../support/wait'
import { World } from '../support/world'

/** COMMIT PREPARED needs the preparing role: the sidecar, no superuser on the nodes, becomes it with SET ROLE. */
describe('branches of several roles', () => {
    let world: World
    before(async () => {
        world = await World.create({ name: 'owners' })
        await world.coordinator.query(
            "do $$ begin if to_regrole('other') is null then create role other login password 'other-secret'; grant pglobalxact_user to other; end if; end $$"
        )
        for (const cluster of world.nodes.values()) {
            await cluster.query(
                `
                do $$ begin if to_regrole('node_other') is null then create role node_other login password 'node-other-secret'; end if; end $$;
                grant node_other to node_sidecar; grant all on account to node_other`,
                [],
                world.database
            )
        }
        await world.sql(
            [...world.nodes.keys()]
                .map(
                    (name) =>
                        `grant usage on foreign server ${name} to other; create user mapping for other server ${name} options (user 'node_other', password 'node-other-secret')`
                )
                .join(';')
        )
    })
    after(async () => {
        for (const cluster of world.nodes.values()) await cluster.query('drop owned by node_other', [], world.database)
        await world.destroy()
    })
    afterEach(() => world.settled())

    const connect = (user: 'app' | 'other'): Promise<Client> =>
        world.coordinator.connect(user === 'app' ? world.login('app') : { database: world.database, user, password: 'other-secret' })

    let row = 100
    async function commit(client: Client): Promise<string> {
        const id = ++row
        await client.query('begin')
        for (const name of world.nodes.keys())
            await client.query('select pglobalxact.exec($1, $2)', [name, `insert into account values (${id}, 0)`])
        const { rows } = await client.query<{ id: string }>('select pglobalxact.set_id() as id')
        await client.query('commit')
        return rows[0]!.id
    }

    /** Changes what the sidecar may do on the nodes. A session keeps a role that it has taken, so its sessions are ended. */
    async function rights(sql: string): Promise<void> {
        for (const name of world.nodes.keys()) {
            await world.node(name, sql)
            await world.endSidecarSessions(name)
        }
    }
    const branches = (id: string): Promise<Record<string, unknown>[]> =>
        world.sql('select node, state, owner, sqlstate, last_error, attempts from pglobalxact.branches($1) order by node', [id])

    it('are finished under the role of each, mixed as they come', async () => {
        const clients = await Promise.all(['app', 'other', 'app', 'other'].map((user) => connect(user as 'app' | 'other')))
        const ids = (
            await Promise.all(
                clients.map(async (client) => {
                    const mine: string[] = []
                    for (let i = 0; i < 15; i++) mine.push(await commit(client))
                    await client.query('select pglobalxact.await()')
                    await client.end()
                    return mine
                })
            )
        ).flat()
        expect(ids).to.have.lengthOf(60)
        await until(
            'all are complete',
            async () => (await world.sql('select from pglobalxact.commit_record where complete_at is null')).length === 0
        )
        const owners = await world.sql<{ owner: string; n: number }>(
            'select owner, count(*)::int as n from pglobalxact.branch_record group by 1 order by 1'
        )
        expect(owners).to.deep.equal([
            { owner: 'node_app', n: 60 },
            { owner: 'node_other', n: 60 }
        ])
        expect(world.sidecar!.logs.filter((line) => / warning | error /.test(line))).to.deep.equal([])
    })

    it('of a role that the sidecar is no member of are retried with error 42501, shown, and finished after a GRANT', async () => {
        await rights('revoke node_other from node_sidecar')
        const client = await connect('other')
        const id = await commit(client)
        await client.end()
        const shown = await until('both are shown in trouble', async () => {
            const rows = await branches(id)
            return rows.length === 2 && rows.every((one) => one['state'] === 'retry' && Number(one['attempts']) > 2) && rows
        })
        for (const one of shown)
            expect(one).to.include({ owner: 'node_other', sqlstate: '42501', last_error: 'permission denied to set role "node_other"' })
        const [set] = await world.sql('select phase, outcome, last_error from pglobalxact.sets() where set_id = $1', [id])
        expect(set).to.deep.include({ phase: 'incomplete', outcome: 'committed' })
        expect(set!['last_error']).to.match(/^b: permission denied to set role "node_other"; c: permission denied/)
        // Another role's branches pass by on the same connections.
        const app = await connect('app')
        await commit(app)
        await app.query("select pglobalxact.await(timeout => '2 seconds')")
        await app.end()
        await rights('grant node_other to node_sidecar')
        await until('both are committed', async () => (await branches(id)).every((one) => one['state'] === 'committed'))
    })

    it('of such a role, finished by hand meanwhile, are seen to be finished', async () => {
        await rights('revoke node_other from node_sidecar')
        const client = await connect('other')
        const id = await commit(client)
        await client.end()
        await until('both are shown in trouble', async () => (await branches(id)).every((one) => one['state'] === 'retry'))
        for (const gid of await world.prepared()) await world.node(gid.endsWith('_1') ? 'b' : 'c', `commit prepared '${gid}'`)
        await until('both are committed', async () => (await branches(id)).every((one) => one['state'] === 'committed'))
        expect((await world.sql('select pglobalxact.outcome($1) as o', [id]))[0]).to.deep.equal({ o: 'committed' })
        await rights('grant node_other to node_sidecar')
    })

    it('of such a role, whose local transaction did not commit, are shown too and rolled back after a GRANT', async () => {
        await rights('revoke node_other from node_sidecar')
        const client = await connect('other')
        // Prepared on both nodes, then the local transaction fails: a deferred constraint checked after the set's.
        await world.sql(`create table judge (id int); create function judge() returns trigger language plpgsql as $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
            create constraint trigger zz after insert on judge deferrable initially deferred for each row execute function judge(); grant all on judge to other`)
        await client.query('begin')
        await client.query("select pglobalxact.exec('b', 'insert into account values (900, 0)')")
        await client.query("select pglobalxact.exec('c', 'insert into account values (900, 0)')")
        await client.query('insert into judge values (1)')
        await client.query('commit').catch(() => undefined)
        await client.end().catch(() => undefined)
        const shown = await until('both are shown in trouble', async () => {
            const rows = await world.sql<{ state: string; decision: string; sqlstate: string }>(
                'select state, decision, sqlstate from pglobalxact.branches()'
            )
            return rows.length === 2 && rows.every((one) => one.state === 'retry') && rows
        })
        for (const one of shown) expect(one).to.deep.equal({ state: 'retry', decision: 'rollback', sqlstate: '42501' })
        await rights('grant node_other to node_sidecar')
        await world.settled()
        expect(await world.node('b', 'select from account where id = 900')).to.deep.equal([])
    })

    it("of a role that was dropped are finished by a superuser's hand, and seen to be", async () => {
        for (const cluster of world.nodes.values())
            await cluster.query("create role node_gone superuser login password 'gone'; grant node_gone to node_sidecar")
        await world.sql(
            "alter user mapping for other server b options (set user 'node_gone', set password 'gone'); alter user mapping for other server c options (set user 'node_gone', set password 'gone')"
        )
        await rights('revoke node_gone from node_sidecar')
        const client = await connect('other')
        const id = await commit(client)
        await client.end()
        await rights('drop role node_gone')
        await until('the trouble is shown', async () => (await branches(id)).every((one) => one['sqlstate'] === '22023'))
        for (const gid of await world.prepared()) await world.node(gid.endsWith('_1') ? 'b' : 'c', `commit prepared '${gid}'`)
        await until('both are committed', async () => (await branches(id)).every((one) => one['state'] === 'committed'))
    })
})
