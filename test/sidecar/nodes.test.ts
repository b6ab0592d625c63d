import { expect } from 'chai'
import { startCluster } from '../support/cluster'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'
import { addRow, failure } from './common'

interface Check extends Record<string, unknown> {
    readonly item: string
    readonly ok: boolean
    readonly detail: string
    readonly hint: string
}

describe('nodes: adding, checking, looking and removing', () => {
    let world: World
    before(async () => {
        world = await World.create({ name: 'nodes', bare: true })
        await world.startSidecar()
    })
    after(() => world.destroy())
    afterEach(() => world.settled())

    const add = (server: string): Promise<Check[]> => world.admin<Check>('select * from pglobalxact.add_node($1)', [server])
    const check = (server: string): Promise<Check[]> => world.admin<Check>('select * from pglobalxact.check_node($1)', [server])
    const remove = (server: string): Promise<unknown> => world.admin('select pglobalxact.remove_node($1)', [server])
    const nodes = async (name: string): Promise<Record<string, unknown> | undefined> =>
        (await world.admin("select *, since < interval '1 minute' as recent from pglobalxact.nodes() where node = $1", [name]))[0]

    /** A foreign server of the test's own with the sidecar's user mapping. */
    const server = (
        name: string,
        options: string,
        mapping: string | null = `user 'node_sidecar', password '${PASSWORDS.node_sidecar}'`,
        wrapper = 'dblink_fdw'
    ): Promise<unknown> =>
        world.sql(
            `create server ${name} foreign data wrapper ${wrapper} options (${options}); grant usage on foreign server ${name} to pglobalxact, app;` +
                (mapping === null ? '' : `create user mapping for pglobalxact server ${name} options (${mapping})`)
        )
    const address = (name: string, database = world.database): string =>
        `host '127.0.0.1', port '${world.nodes.get(name)!.port}', dbname '${database}'`

    it('a good one passes every check', async () => {
        const checks = await add('b')
        const wanted = [
            'reachable',
            'fence',
            'primary',
            'prepared slots',
            'finishes branches of',
            'session',
            'version',
            'durability',
            'clock'
        ]
        expect(checks.filter(({ ok }) => !ok)).to.deep.equal([])
        expect(checks.filter(({ hint, item }) => hint !== '' && item !== 'connect timeout')).to.deep.equal([])
        expect(checks.map(({ item }) => item)).to.include.members(wanted)
        const detail = new Map(checks.map((one) => [one.item, one.detail]))
        expect(detail.get('reachable')).to.equal(`postgresql://node_sidecar@127.0.0.1:${world.nodes.get('b')!.port}/${world.database}`)
        expect(detail.get('prepared slots')).to.equal('0 of 200 used')
        expect(detail.get('finishes branches of')).to.equal('node_app')
        expect(await check('b')).to.deep.equal(checks)
        await add('c')
    })

    it('is listed with what the sidecar sees of it', async () => {
        const found = await until('node b is seen', async () => {
            const row = await nodes('b')
            return row?.['reachable'] === true && row
        })
        expect(found).to.include({
            finishing_as: 'node_sidecar',
            prepared_free: 200,
            waiting: 0,
            fence: 'held',
            last_error: null,
            recent: true
        })
        expect(found['version']).to.match(/^\d+\.\d+/)
        expect(Number(found['latency_ms'])).to.be.within(0, 10_000)
    })

    it('may be added again, and stays the same node', async () => {
        const number = async (): Promise<unknown> => (await world.sql("select number from pglobalxact.node where name = 'b'"))[0]
        const before = await number()
        await add('b')
        expect(await number()).to.deep.equal(before)
    })

    for (const [what, name, prepare, code, message, hint] of [
        [
            'no foreign server',
            'nowhere',
            '',
            '42704',
            'foreign server "nowhere" does not exist',
            /CREATE SERVER nowhere FOREIGN DATA WRAPPER dblink_fdw/
        ],
        [
            'a server of another wrapper',
            'strange',
            'create foreign data wrapper other; create server strange foreign data wrapper other',
            '42809',
            'foreign server "strange" (other) cannot be a node',
            /dblink_fdw or postgres_fdw/
        ],
        [
            'our own loopback',
            'pglobalxact_loopback',
            '',
            '42809',
            'foreign server "pglobalxact_loopback" (dblink_fdw) cannot be a node',
            /dblink_fdw or postgres_fdw/
        ]
    ] as const) {
        it(`refuses ${what}, and changes nothing`, async () => {
            if (prepare !== '') await world.sql(prepare)
            expect(await failure(add(name))).to.include({ code, message })
            expect((await failure(add(name))).hint).to.match(hint)
            expect(await failure(check(name))).to.include({
                code: '42704',
                message: `node "${name}" does not exist`,
                hint: 'See: select * from pglobalxact.nodes();'
            })
            expect(await failure(remove(name))).to.include({ code: '42704', message: `node "${name}" does not exist` })
            expect(await nodes(name)).to.equal(undefined)
        })
    }

    it('says when the sidecar has no user mapping for it, and takes it once it has', async () => {
        await server('d', address('b', 'postgres'), null)
        const [reachable] = await add('d')
        const trouble = 'role pglobalxact has no user mapping for server "d", or no USAGE on it'
        expect(reachable).to.deep.equal({
            item: 'reachable',
            ok: false,
            detail: `cannot be reached: ${trouble}`,
            hint: '/* at the coordinator */ select * from pglobalxact.doctor();'
        })
        expect(await nodes('d')).to.include({ reachable: false, last_error: trouble })
        await world.sql(`create user mapping for pglobalxact server d options (user 'node_sidecar', password '${PASSWORDS.node_sidecar}')`)
        expect(new Map((await check('d')).map(({ item, ok }) => [item, ok])).get('reachable')).to.equal(true)
        await remove('d')
        await world.sql('drop server d cascade')
    })

    it('says when its database is a node already, and leaves that one in peace', async () => {
        await server('twice', address('c'))
        const [number] = await world.sql<{ number: number }>("select number from pglobalxact.node where name = 'c'")
        const fence = (await add('twice')).find(({ item }) => item === 'fence')
        expect(fence).to.include({
            ok: false,
            detail: `fenced off: this database is a node already, under another foreign server: number ${number!.number}`
        })
        expect(await nodes('c')).to.include({ reachable: true, fence: 'held' })
        expect(world.sidecar!.logs.join('\n')).to.not.contain('ended own stale session')
        await remove('twice')
        await world.sql('drop server twice cascade')
    })

    it('says when it is down, and takes it when it comes up', async () => {
        const cluster = await startCluster({ name: 'late' })
        await cluster.createDatabase(world.database)
        await cluster.query(
            `create role node_app login; create role node_sidecar login password '${PASSWORDS.node_sidecar}'; grant node_app to node_sidecar`
        )
        await cluster.stop()
        await server('e', `host '127.0.0.1', port '${cluster.port}', dbname '${world.database}'`)
        const [reachable] = await add('e')
        expect(reachable).to.include({ item: 'reachable', ok: false })
        expect(reachable!.detail).to.match(/connection refused by /)
        await cluster.start()
        await until('it is reached', async () => (await nodes('e'))?.['reachable'] === true)
        expect(await nodes('e')).to.include({ last_error: null, fence: 'held' })
        // A server that cannot prepare transactions is a node that no set can use.
        await cluster.configure({ max_prepared_transactions: 0 })
        const slots = (
            await until('it is reached again', async () => {
                const checks = await check('e')
                return checks.some(({ item }) => item === 'prepared slots') && checks
            })
        ).find(({ item }) => item === 'prepared slots')
        expect(slots).to.include({ ok: false, detail: 'prepared transactions are switched off' })
        expect(slots!.hint).to.match(/^alter system set max_prepared_transactions = 200;.* restart/)
        await remove('e')
        await cluster.destroy()
        await world.sql('drop server e cascade')
    })

    it('says when it is a standby', async () => {
        const primary = await startCluster({ name: 'primary' })
        await primary.createDatabase(world.database)
        await primary.query(
            `create role node_app login; create role node_sidecar login password '${PASSWORDS.node_sidecar}'; grant node_app to node_sidecar`
        )
        await primary.stop()
        const standby = await startCluster({ name: 'standby', copyOf: primary, standby: true })
        await server('s', `host '127.0.0.1', port '${standby.port}', dbname '${world.database}'`)
        const found = (await add('s')).find(({ item }) => item === 'primary')
        expect(found).to.deep.equal({
            item: 'primary',
            ok: false,
            detail: 'the server is a standby',
            hint: `/* at the coordinator */ alter server "s" options (set host '…', set port '…');`
        })
        await remove('s')
        await standby.destroy()
        await primary.destroy()
        await world.sql('drop server s cascade')
    })

    it("says when the sidecar may finish nobody's branches there", async () => {
        await world.node('b', `create role lonely login password 'lonely-secret'`)
        await server('l', address('b'), "user 'lonely', password 'lonely-secret'")
        const found = (await add('l')).find(({ item }) => item === 'finishes branches of')
        expect(found).to.deep.equal({
            item: 'finishes branches of',
            ok: false,
            detail: 'only "lonely" itself',
            hint: 'grant … to "lonely"; /* each role that works here */'
        })
        await remove('l')
        await world.sql('drop server l cascade')
        await world.node('b', 'drop role lonely')
    })

    it('cannot be removed while a set has work there, and takes no more once it is', async () => {
        const client = await world.connect()
        await client.query('begin')
        await client.query("select pglobalxact.exec('b', 'insert into account values (7, 7)')")
        const error = await failure(remove('b'))
        expect(error).to.include({ code: '55006', message: 'node "b" has 1 unfinished branches' })
        expect(error.hint).to.match(/pglobalxact\.branches\(\)/)
        await client.query('rollback')
        await until('the set is off the books', async () => (await world.sql('select * from pglobalxact.sets()')).length === 0)
        await remove('b')
        expect(await nodes('b')).to.equal(undefined)
        const refused = await failure(addRow(world, client, ['b']))
        await client.query('rollback')
        expect(refused).to.include({ code: '42704', message: 'node "b" does not exist' })
        await add('b')
        await addRow(world, client)
    })
})
