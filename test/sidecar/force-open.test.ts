import { expect } from 'chai'
import type { Client } from 'pg'
import { until } from '../support/wait'
import { World } from '../support/world'
import { failure } from './common'

interface Answer extends Record<string, unknown> {
    readonly node: string
    readonly result: string
}

describe('force_commit and force_rollback of a set that is running or undecided', () => {
    let world: World
    let coordinator: string
    before(async () => {
        world = await World.create({ name: 'forceopen' })
        coordinator = (await world.sql<{ id: string }>('select id from pglobalxact.coordinator'))[0]!.id
    })
    after(() => world.destroy())
    afterEach(() => world.settled())

    const force = (action: 'commit' | 'rollback', set: string, more = ''): Promise<Answer[]> =>
        world.admin<Answer>(`select node, result from pglobalxact.force_${action}($1, reason => 'ticket 4711', confirm => 'yes' ${more})`, [
            set
        ])
    const outcome = async (id: string): Promise<string> =>
        (await world.sql<{ o: string }>('select pglobalxact.outcome($1) as o', [id]))[0]!.o
    const numberOf = async (name: string): Promise<number> =>
        (await world.sql<{ number: number }>('select number from pglobalxact.node where name = $1', [name]))[0]!.number
    const events = (id: string): Promise<Record<string, unknown>[]> =>
        world.sql("select kind, detail from pglobalxact.event where set_id = $1 and kind like 'forced%' order by id", [id])

    async function open(client: Client): Promise<string> {
        await client.query('begin')
        for (const name of ['b', 'c']) await client.query('select pglobalxact.exec($1, $2)', [name, 'insert into account values (77, 77)'])
        return (await client.query<{ id: string }>('select pglobalxact.set_id() as id')).rows[0]!.id
    }

    /** A set that is prepared everywhere and whose local transaction then ended without a commit record. */
    async function rolledBack(): Promise<string> {
        const client = await world.coordinator.connect(world.login('app'))
        await client.query('create temp table judge (id int)')
        await client.query(
            "create function pg_temp.judge() returns trigger language plpgsql as 'begin perform pg_terminate_backend(pg_backend_pid()); return null; end'"
        )
        await client.query(
            'create constraint trigger judge after insert on judge deferrable initially deferred for each row execute function pg_temp.judge()'
        )
        const id = await open(client)
        await client.query('insert into judge values (1)')
        await failure(client.query('commit'))
        await client.end().catch(() => undefined)
        return id
    }

    it('force_commit of a running set is refused, and the set can still commit', async () => {
        const client = await world.connect()
        const id = await open(client)
        const error = await failure(force('commit', id, ', accept_mixed => true'))
        expect(error).to.include({
            code: '55000',
            message: `the local transaction of set "${id}" is still running: it cannot be forced to commit`
        })
        expect(error.hint).to.match(/^COMMIT in its own session; or force_rollback/)
        await client.query('commit')
        expect((await client.query('select pglobalxact.await() as o')).rows).to.deep.equal([{ o: 'committed' }])
        await client.query(
            "begin; select pglobalxact.exec('b', 'delete from account where id = 77'); select pglobalxact.exec('c', 'delete from account where id = 77'); commit"
        )
        await client.query('select pglobalxact.await()')
    })

    it('force_rollback of a running set ends its session first, so that it can never commit', async () => {
        const client = await world.connect()
        const id = await open(client)
        expect(await force('rollback', id)).to.deep.equal([
            { node: '(all)', result: 'the session of its local transaction was ended; nothing was prepared yet' }
        ])
        await failure(client.query('commit'))
        expect(await outcome(id)).to.equal('rolled back')
        expect(await events(id)).to.deep.equal([{ kind: 'forced rollback', detail: 'dba: ticket 4711' }])
        await until(
            'the work on the nodes has ended',
            async () =>
                (
                    await world.node(
                        'b',
                        "select from pg_stat_activity where application_name ~ '^pgx_[0-9a-f]{8}_[0-9]+_' and xact_start is not null and datname = current_database()"
                    )
                ).length === 0
        )
        expect(await world.node('b', 'select from account where id = 77')).to.deep.equal([])
    })

    it('force_rollback of a running set of a superuser, whose session the sidecar cannot end, says so', async () => {
        const client = await world.coordinator.connect({ database: world.database })
        await world.sql("create user mapping if not exists for postgres server b options (user 'node_app', password 'node-app-secret-6')")
        await client.query('begin')
        await client.query("select pglobalxact.exec('b', 'insert into account values (78, 78)')")
        const id = (await client.query<{ id: string }>('select pglobalxact.set_id() as id')).rows[0]!.id
        const error = await failure(force('rollback', id))
        expect(error).to.include({ code: '55000', message: `the session of set "${id}" could not be ended` })
        expect(error.hint).to.match(/pg_signal_backend .*pg_terminate_backend, then ask again/)
        await client.query('rollback')
        await client.end()
    })

    it('a set whose session died between its PREPAREs and its commit is rolled back without being forced', async () => {
        const id = await rolledBack()
        await until('it is settled', async () => (await world.prepared()).length === 0)
        expect(await outcome(id)).to.equal('rolled back')
        for (const action of ['rollback', 'commit'] as const) {
            const error = await failure(force(action, id, ', accept_mixed => true'))
            expect(error).to.include({
                code: '55000',
                message: `set "${id}" is not prepared on any node that answers: there is nothing to force`
            })
            expect(error.hint).to.match(/rolled back by itself/)
        }
    })

    /** Keeps the sidecar from finishing branches on both nodes, for as long as `work` runs. */
    async function withoutRight(work: () => Promise<void>): Promise<void> {
        for (const name of ['b', 'c']) {
            await world.withdraw(name)
        }
        try {
            await work()
        } finally {
            for (const name of ['b', 'c']) await world.node(name, 'grant node_app to node_sidecar')
        }
    }

    it('force_commit against a set that did not commit needs accept_mixed, is tried until it works, and is remembered', async () => {
        let id = ''
        await withoutRight(async () => {
            id = await rolledBack()
            await until(
                'both branches are in trouble',
                async () =>
                    (await world.sql("select from pglobalxact.branches() where state = 'retry' and decision = 'rollback'")).length === 2
            )
            const error = await failure(force('commit', id))
            expect(error).to.include({ code: '55000', message: `set "${id}" is decided: its local transaction did not commit` })
            expect(await force('rollback', id, ", node => 'c'")).to.deep.equal([
                { node: 'c', result: 'rollback ordered, tried again: permission denied to set role "node_app"' }
            ])
            expect(await force('commit', id, ", node => 'b', accept_mixed => true")).to.deep.equal([
                { node: 'b', result: 'commit ordered, tried again: permission denied to set role "node_app"' }
            ])
        })
        await until('it is settled', async () => (await world.prepared()).length === 0)
        expect(await world.node('b', 'select from account where id = 77'), 'committed on b by order').to.have.lengthOf(1)
        expect(await world.node('c', 'select from account where id = 77')).to.deep.equal([])
        expect((await events(id)).map((event) => event['kind'])).to.deep.equal(['forced rollback', 'forced commit'])
        await world.node('b', 'delete from account where id = 77')
    })

    for (const [action, rows] of [
        ['commit', 1],
        ['rollback', 0]
    ] as const) {
        it(`a branch that no transaction of this database made is left alone until it is forced: ${action}`, async () => {
            const id = `4711_0000000${rows}`
            const gid = `pgx_${coordinator}_${id}_${await numberOf('b')}`
            const stranger = await world.nodes
                .get('b')!
                .connect({ database: world.database, user: 'node_app', password: 'node-app-secret-6' })
            await stranger.query(`begin; insert into account values (79, 79); prepare transaction '${gid}'`)
            await stranger.end()
            await world.sidecar!.waitForLog(
                new RegExp(`prepared branch left alone node=b gid=${gid} because="no transaction of this database made it`)
            )
            const shown = await until(
                'it is shown',
                async () => (await world.sql('select state, decision, last_error from pglobalxact.branches($1)', [id]))[0]
            )
            expect(shown).to.include({ state: 'left alone', decision: 'unknown' })
            const [recovered] = (await world.admin<Record<string, unknown>>('select * from pglobalxact.recover()')).filter(
                (row) => row['node'] === 'b'
            )
            expect(recovered).to.include({ prepared: 1, committed: 0, rolled_back: 0, left_alone: 1, result: 'ok' })
            expect(await force(action, gid)).to.deep.equal([{ node: 'b', result: action === 'commit' ? 'committed' : 'rolled back' }])
            expect(await world.node('b', 'select from account where id = 79')).to.have.lengthOf(rows)
            await world.node('b', 'delete from account where id = 79')
        })
    }
})
