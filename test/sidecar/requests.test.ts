import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Proxy } from '../support/proxy'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, failure } from './common'

describe('what a DBA asks the sidecar', () => {
    let world: World
    let b: Proxy
    before(async () => {
        // A look every minute only: what happens sooner, the request has brought about.
        world = await World.create({ name: 'requests', proxied: true, sidecarArgs: ['--scan-interval', '60000', '--retry-cap', '30000'] })
        b = world.proxies.get('b')!
    })
    after(() => world.destroy())
    afterEach(async () => {
        await b.restore()
        await world.admin('select * from pglobalxact.recover()')
        await world.settled()
    })

    async function waitingSet(): Promise<string> {
        const client = await world.coordinator.connect(world.login('app'))
        const cut = b.onClientData('COMMIT PREPARED', 'before', () => void b.cut())
        const id = await addRow(world, client)
        await cut
        await client.end()
        await until(
            'c has committed',
            async () => (await world.node('c', 'select from pg_prepared_xacts where database = current_database()')).length === 0
        )
        return id
    }

    /** A set prepared on both nodes whose session then dies: the decision rule's to settle. */
    async function abandonedSet(): Promise<string> {
        const client = await world.coordinator.connect(world.login('app'))
        await client.query('create temp table judge (id int)')
        await client.query(
            "create function pg_temp.judge() returns trigger language plpgsql as 'begin perform pg_terminate_backend(pg_backend_pid()); return null; end'"
        )
        await client.query(
            'create constraint trigger judge after insert on judge deferrable initially deferred for each row execute function pg_temp.judge()'
        )
        await client.query('begin')
        for (const name of ['b', 'c']) await client.query('select pglobalxact.exec($1, $2)', [name, 'insert into account values (77, 77)'])
        const id = (await client.query<{ id: string }>('select pglobalxact.set_id() as id')).rows[0]!.id
        await client.query('insert into judge values (1)')
        await failure(client.query('commit'))
        await client.end().catch(() => undefined)
        return id
    }

    it('recover() settles at once what the next look would, and says so per node', async () => {
        await abandonedSet()
        expect(await world.prepared()).to.have.lengthOf(2)
        expect(await world.admin('select * from pglobalxact.recover()')).to.deep.equal(
            ['b', 'c'].map((node) => ({ node, prepared: 1, committed: 0, rolled_back: 1, left_alone: 0, result: 'ok' }))
        )
        expect(await world.prepared()).to.deep.equal([])
        expect(await world.admin('select * from pglobalxact.recover()')).to.deep.equal(
            ['b', 'c'].map((node) => ({ node, prepared: 0, committed: 0, rolled_back: 0, left_alone: 0, result: 'ok' }))
        )
    })

    it('recover() leaves a running set alone, and says what a node that does not answer said', async () => {
        const client = await world.coordinator.connect(world.login('app'))
        await client.query('begin')
        const { rows } = await client.query<{ gid: string }>("select pglobalxact.enlist('c') as gid")
        const program = await world.nodes.get('c')!.connect({ database: world.database, user: 'node_app', password: 'node-app-secret-6' })
        await program.query(`begin; insert into account values (80, 80); prepare transaction '${rows[0]!.gid}'`)
        await program.end()
        await b.cut()
        const answers = await world.admin<Record<string, unknown>>('select * from pglobalxact.recover()')
        expect(answers[0]!['node']).to.equal('b')
        expect(answers[0]!['result']).to.match(/connection (refused|was)|lost|terminated/)
        expect(answers[1]).to.deep.equal({ node: 'c', prepared: 1, committed: 0, rolled_back: 0, left_alone: 1, result: 'ok' })
        await client.query('rollback')
        await client.end()
    })

    it('many at once are all answered', async () => {
        const answers = await Promise.all(Array.from({ length: 20 }, () => world.admin('select * from pglobalxact.recover()')))
        for (const answer of answers) expect(answer).to.have.lengthOf(2)
    })

    it('retry() says what each node answered, and is an error for a set that it cannot help', async () => {
        const id = await waitingSet()
        const tried = await world.admin<Record<string, string>>('select * from pglobalxact.retry($1) order by 1', [id])
        expect(tried[0]!['result']).to.match(/^not yet committed: ./)
        expect(tried[1]).to.deep.equal({ node: 'c', result: 'committed' })
        await b.restore()
        const [gid] = await world.sql<{ gid: string }>("select gid from pglobalxact.branches($1) where node = 'b'", [id])
        expect(await world.admin('select * from pglobalxact.retry($1) order by 1', [gid!.gid]), 'by gid').to.deep.equal([
            { node: 'b', result: 'committed' },
            { node: 'c', result: 'committed' }
        ])
        expect(await failure(world.admin('select * from pglobalxact.retry($1)', [id]))).to.include({
            code: '55000',
            message: `set "${id}" is complete: there is nothing to retry`
        })
        expect(await failure(world.admin("select * from pglobalxact.retry('999999999_00000000')"))).to.include({ code: '42704' })
        expect(await failure(world.admin("select * from pglobalxact.retry('x')"))).to.include({ code: '22023' })
        const client = await world.coordinator.connect(world.login('app'))
        const running = await world.transfer(client)
        expect(await failure(world.admin('select * from pglobalxact.retry($1)', [running]))).to.include({
            code: '55000',
            message: `the local transaction of set "${running}" is still running`
        })
        await client.query('rollback')
        await client.end()
    })

    it('retry() settles an undecided set by the decision rule', async () => {
        const id = await abandonedSet()
        expect(await world.admin('select * from pglobalxact.retry($1) order by 1', [id])).to.deep.equal([
            { node: 'b', result: 'settled by the decision rule' },
            { node: 'c', result: 'settled by the decision rule' }
        ])
        expect(await world.prepared()).to.deep.equal([])
    })

    it('state_lines() shows the state files as cat does', async () => {
        const id = await waitingSet()
        const lines = (await world.admin<{ state_lines: string }>('select * from pglobalxact.state_lines($1)', [id])).map(
            (row) => row.state_lines
        )
        expect(lines.filter((line) => / pending /.test(line))).to.have.lengthOf(2)
        expect(lines.filter((line) => / committed /.test(line))).to.have.lengthOf(1)
        for (const line of lines) expect(line).to.match(new RegExp(`^${id} \\d{4}-.*Z (phase|commit) .* [0-9a-f]{8}$`))
        const cat = (): string =>
            readdirSync(world.stateDir)
                .filter((name) => name.startsWith('state-'))
                .map((name) => readFileSync(join(world.stateDir, name), 'utf8'))
                .join('')
        await until('the lines are in the file', () => lines.every((line) => cat().includes(`${line}\n`)))
        expect(await world.admin('select * from pglobalxact.state_lines()')).to.have.lengthOf(lines.length)
        expect(await world.admin("select * from pglobalxact.state_lines('999999999_00000000')")).to.deep.equal([])
    })

    it('is carried out inside a transaction block too, whatever becomes of it, and remembered by requests()', async () => {
        const dba = await world.connect('dba')
        await dba.query('begin')
        await dba.query('select * from pglobalxact.recover()')
        await failure(dba.query("select * from pglobalxact.retry('999999999_00000000')"))
        await dba.query('rollback')
        const rows = await world.admin<Record<string, unknown>>(
            "select kind, requested_by, arguments, answer, took < interval '10 seconds' as quick from pglobalxact.requests() limit 2"
        )
        expect(rows[1]).to.deep.equal({ kind: 'recover', requested_by: 'dba', arguments: {}, answer: 'done', quick: true })
        expect(rows[0]).to.deep.include({ kind: 'retry', requested_by: 'dba', arguments: { set: '999999999_00000000' }, quick: true })
        expect(rows[0]!['answer']).to.match(/^set "999999999_00000000" is not known/)
    })

    it("is the administrator's to act and the monitor's to look, and nobody else's", async () => {
        const acting = [
            'select * from pglobalxact.recover()',
            "select * from pglobalxact.retry('1_00000000')",
            "select * from pglobalxact.force_commit('1_00000000', reason => 'x')",
            "select * from pglobalxact.force_rollback('1_00000000', reason => 'x')",
            "select pglobalxact.acknowledge('1_00000000', 'x')",
            "select * from pglobalxact.add_node('b')",
            "select pglobalxact.remove_node('b')",
            "select pglobalxact.allow_home('0123456789abcdef', 'x')"
        ]
        const looking = [
            'select * from pglobalxact.sets()',
            'select * from pglobalxact.branches()',
            'select * from pglobalxact.nodes()',
            'select * from pglobalxact.status()',
            'select * from pglobalxact.requests()',
            'select * from pglobalxact.state_lines()',
            "select * from pglobalxact.check_node('b')"
        ]
        const watcher = await world.connect('watcher')
        for (const call of looking) await watcher.query(call)
        for (const call of acting) expect(await failure(watcher.query(call)), call).to.include({ code: '42501' })
        const app = await world.connect('app')
        for (const call of [...acting, ...looking]) expect(await failure(app.query(call)), call).to.include({ code: '42501' })
        const before = (await world.sql('select from pglobalxact.request')).length
        for (const call of [
            "select pglobalxact._request('recover', '{}')",
            "insert into pglobalxact.request (kind, arguments, requested_by) values ('recover', '{}', 'dba')",
            "select pglobalxact._submit('recover', '{}', 'dba')"
        ])
            expect(await failure(app.query(call)), call).to.include({ code: '42501' })
        expect(await world.sql('select from pglobalxact.request')).to.have.lengthOf(before)
    })

    it('of a kind that it does not know is an error that says why', async () => {
        expect(await failure(world.sql("select pglobalxact._request('dance', '{}')"))).to.include({
            code: '0A000',
            message: 'this sidecar does not know the request "dance"'
        })
    })
})
