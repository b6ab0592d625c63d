import { expect } from 'chai'
import type { Client } from 'pg'
import { fillAccounts, value } from '../support/refused'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'

describe('exec on nodes of every kind', () => {
    let world: World
    let app: Client
    const extra: string[] = []

    before(async () => {
        world = await World.create({ name: 'kinds' })
        app = await world.connect()
    })
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await app.query('rollback')
        await world.settled()
    })
    after(async () => {
        // What is prepared in a database keeps it from being dropped, so all of it must be finished by now.
        await world?.destroy()
        for (const database of extra) {
            await world.coordinator.dropDatabase(database)
            await world.nodes.get('b')!.dropDatabase(database)
        }
    })

    const pay = (node: string, amount = 10) =>
        value(app, 'select pglobalxact.exec($1, $2)', [node, `update account set balance = balance + ${amount}`])
    const balanceOn = async (node: string) =>
        Number(await value(app, `select balance from pglobalxact.query($1, 'select balance from account') as t (balance bigint)`, [node]))

    /** A second database with an account, on a node's cluster or on the coordinator's. */
    async function addDatabase(where: 'a' | 'b', suffix: string): Promise<string> {
        const cluster = where === 'a' ? world.coordinator : world.nodes.get('b')!
        const database = `${world.database}_${suffix}`
        extra.push(database)
        await cluster.createDatabase(database)
        await cluster.query(
            `
      do $$ begin
        if to_regrole('node_app') is null then create role node_app login; end if;
        if to_regrole('node_sidecar') is null then create role node_sidecar login; end if;
      end $$;
      alter role node_app password '${PASSWORDS.node_app}'; alter role node_sidecar password '${PASSWORDS.node_sidecar}';
      grant node_app to node_sidecar;
      create table account (id int primary key, balance bigint not null);
      insert into account values (1, 1000);
      grant all on account to node_app`,
            [],
            database
        )
        return database
    }

    async function commitAndCheck(changes: Readonly<Record<string, number>>): Promise<void> {
        const before: Record<string, number> = {}
        for (const node of Object.keys(changes)) before[node] = await balanceOn(node)
        await app.query('begin')
        for (const [node, amount] of Object.entries(changes)) await pay(node, amount)
        await app.query('rollback')
        await app.query('begin')
        for (const [node, amount] of Object.entries(changes)) await pay(node, amount)
        await app.query('commit')
        expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
        for (const [node, amount] of Object.entries(changes)) expect(await balanceOn(node), node).to.equal(before[node]! + amount)
    }

    it('takes two databases of one cluster as two nodes', async () => {
        await world.createServer('b_too', world.nodes.get('b')!, await addDatabase('b', 'too'))
        await world.admin(`select * from pglobalxact.add_node('b_too')`)
        await commitAndCheck({ b: 5, b_too: 7, c: 9 })
    })

    it("takes another database of the coordinator's own cluster as a node", async () => {
        await world.createServer('neighbour', world.coordinator, await addDatabase('a', 'neighbour'))
        await world.admin(`select * from pglobalxact.add_node('neighbour')`)
        await commitAndCheck({ neighbour: 5, c: 7 })
    })

    it("takes the coordinator's own database as a node", async () => {
        await world.createServer('self', world.coordinator, world.database)
        await world.sql(`
      create table note (text text); grant all on note to node_app, app;
      grant usage on schema public to node_app`)
        await world.admin(`select * from pglobalxact.add_node('self')`)
        const write = () => value(app, `select pglobalxact.exec('self', 'insert into note values (''from far'')')`)
        await app.query('begin')
        await app.query(`insert into note values ('from here')`)
        await write()
        await app.query('rollback')
        await app.query('begin')
        await app.query(`insert into note values ('from here')`)
        expect(await write()).to.equal('INSERT 0 1')
        await pay('b', 3)
        await app.query('commit')
        expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
        expect((await app.query('select text from note order by 1')).rows).to.deep.equal([{ text: 'from far' }, { text: 'from here' }])
        expect(await world.balances()).to.include({ b: 1003 })
        expect(await world.sql('select * from pg_prepared_xacts where database = current_database()')).to.deep.equal([])
    })

    it('takes a foreign server of postgres_fdw, which may also serve foreign tables', async () => {
        const { port } = world.nodes.get('b')!
        await world.sql(`
      create extension postgres_fdw;
      create server fdw foreign data wrapper postgres_fdw options (host '127.0.0.1', port '${port}', dbname '${await addDatabase('b', 'fdw')}');
      grant usage on foreign server fdw to app, pglobalxact;
      create user mapping for app server fdw options (user 'node_app', password '${PASSWORDS.node_app}');
      create user mapping for pglobalxact server fdw options (user 'node_sidecar', password '${PASSWORDS.node_sidecar}');
      create foreign table far_account (id int, balance bigint) server fdw options (table_name 'account');
      grant select on far_account to app`)
        const checks = await world.admin<{ item: string; ok: boolean }>(`select * from pglobalxact.add_node('fdw')`)
        // The advice to set a connect timeout is for coordinators before 16.
        expect(checks.filter((check) => !check.ok && check.item !== 'connect timeout')).to.deep.equal([])
        await commitAndCheck({ fdw: 11, c: 2 })
        expect(await value(app, 'select balance from far_account')).to.equal('1011')
    })

    it('serves several sessions on one node at once, each with its own set', async () => {
        await world.node('b', 'insert into account select n, 1000 from generate_series(2, 9) n')
        const sessions = await Promise.all(Array.from({ length: 8 }, () => world.connect()))
        const work = async (session: Client, n: number) => {
            for (let round = 1; round <= 5; round++) {
                await session.query('begin')
                await session.query(`select pglobalxact.exec('b', 'update account set balance = balance + 1 where id = ${n + 2}')`)
                await session.query(`select pglobalxact.exec('c', 'update account set balance = balance + 1')`)
                await session.query(round === 3 ? 'rollback' : 'commit')
            }
            return value(session, 'select pglobalxact.await()')
        }
        expect(await Promise.all(sessions.map(work))).to.deep.equal(Array(8).fill('committed'))
        await world.settled()
        expect(await world.node('b', 'select distinct balance from account where id > 1')).to.deep.equal([{ balance: '1004' }])
        expect(await world.balances()).to.include({ c: 1032 })
        // Eight sessions of theirs, and nothing of them left in a transaction.
        await until(
            "the nodes' sessions are idle",
            async () =>
                (
                    await world.node(
                        'b',
                        `select from pg_stat_activity where datname = current_database() and application_name like 'pgx%' and state <> 'idle'`
                    )
                ).length === 0
        )
        await world.node('b', 'delete from account where id > 1')
    })
})
