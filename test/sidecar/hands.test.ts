import { expect } from 'chai'
import { createFaultPoints } from '../../sidecar/fault'
import { Finisher, type Answer } from '../../sidecar/finisher'
import { Hand } from '../../sidecar/hand'
import { readAddress } from '../../sidecar/nodeoptions'
import { connectToNode } from '../../sidecar/session'
import { startCluster, type Cluster } from '../support/cluster'
import { until } from '../support/wait'

const OWNERS = ['one', 'two', 'three'] as const

describe('the connections that finish branches', () => {
    let node: Cluster
    let finisher: Finisher
    before(async () => {
        node = await startCluster({ name: 'hands', settings: { max_prepared_transactions: 500 } })
        await node.query('create table t (i int); grant insert on t to public')
        // No superuser, who could finish anybody's branches in any role.
        await node.query("create role hand login password 'of-a-hand'")
        for (const owner of OWNERS) await node.query(`create role ${owner}; grant ${owner} to hand`)
    })
    afterEach(() => finisher.close('over'))
    after(() => node.destroy())

    function open(most: number, idle: number, timeout = 30_000, user = 'hand', opened = (): unknown => undefined): void {
        const address = readAddress({
            number: 1,
            name: 'b',
            server_options: [`host=${node.host}`, `port=${node.port}`, 'dbname=postgres'],
            mapping_options: [`user=${user}`, `password=of-a-${user}`],
            active: true,
            lost: false
        })
        const connect = async () => {
            opened()
            return new Hand(await connectToNode(address, { name: 'a hand', timeout: 30_000 }), timeout)
        }
        finisher = new Finisher(
            connect,
            most,
            createFaultPoints('', async () => undefined),
            idle
        )
    }

    const there = async (): Promise<number> => (await node.query("select from pg_stat_activity where application_name = 'a hand'")).length

    /** Branches of this role. */
    async function prepare(count: number, owner: string): Promise<readonly string[]> {
        const client = await node.connect()
        await client.query(`set role ${owner}`)
        const gids = Array.from({ length: count }, (_, n) => `${owner}_${n}`)
        for (const gid of gids) await client.query(`begin; insert into t values (1); prepare transaction '${gid}'`)
        await client.end()
        return gids
    }

    const commit = async (gids: readonly string[], owner: string): Promise<readonly unknown[]> =>
        (await Promise.all(gids.map((gid) => finisher.finish('commit', gid, owner)))).filter(({ ok }) => !ok)

    for (const most of [1, 2, 5]) {
        it(`finish every branch once, ${most} of them for the branches of three roles`, async () => {
            open(most, 60_000)
            const mine: Record<string, readonly string[]> = {}
            for (const owner of OWNERS) mine[owner] = await prepare(150, owner)
            const failed = await Promise.all(OWNERS.map((owner) => commit(mine[owner]!, owner)))
            expect(failed.flat()).to.deep.equal([])
            expect(await node.query('select from pg_prepared_xacts')).to.deep.equal([])
            expect(finisher.waiting).to.equal(0)
            expect(await there()).to.be.within(1, most)
        })
    }

    for (const most of [1, 2]) {
        it(`take turns, ${most} of them, while branches of three roles come one by one: none is sent in another's role`, async () => {
            open(most, 60_000)
            const mine: Record<string, readonly string[]> = {}
            for (const owner of OWNERS) mine[owner] = await prepare(40, owner)
            const failed = await Promise.all(
                OWNERS.map(async (owner) => {
                    const answers: unknown[] = []
                    for (const gid of mine[owner]!) answers.push(...(await commit([gid], owner)))
                    return answers
                })
            )
            expect(failed.flat()).to.deep.equal([])
            expect(await node.query('select from pg_prepared_xacts')).to.deep.equal([])
        })
    }

    it('are given up when there was no work for a while, and opened again when there is', async () => {
        open(4, 100)
        for (let turn = 0; turn < 3; turn++) {
            expect(await commit(await prepare(50, 'one'), 'one')).to.deep.equal([])
            await until('all are given up', async () => finisher.hands === 0 && (await there()) === 0)
        }
    })

    it('are not given up while a branch is under way, however long', async () => {
        open(4, 20)
        const gids = await prepare(3, 'two')
        await node.reload({ synchronous_standby_names: 'nobody' })
        const failed = commit(gids, 'two')
        const waits =
            "from pg_stat_activity where application_name = 'a hand' and wait_event = 'SyncRep' and clock_timestamp() - query_start > interval '200 ms'"
        await until('a COMMIT PREPARED waits for ten times as long', async () => (await node.query(`select ${waits}`)).length > 0)
        expect(finisher.waiting).to.equal(3)
        await node.reload({ synchronous_standby_names: '' })
        expect(await failed).to.deep.equal([])
    })

    it('have each order answered by its own answer, whatever becomes of its neighbours', async () => {
        open(1, 60_000)
        const gids = await prepare(20, 'three')
        const asked = gids.flatMap((gid, n) => (n % 3 === 0 ? [`missing_${n}`, gid] : [gid]))
        const answers = await Promise.all(asked.map((gid) => finisher.finish('commit', gid, 'three')))
        const absent = asked.filter((_, n) => {
            const answer = answers[n]!
            return !answer.ok && answer.problem.trouble === 'absent' && answer.problem.sqlstate === '42704'
        })
        expect(absent).to.deep.equal(asked.filter((gid) => gid.startsWith('missing')))
        expect(answers.filter(({ ok }) => ok).length).to.equal(20)
    })

    /** Orders that the node holds up: of none of them is anything known when the connection is gone. */
    async function heldUp(owner: string, timeout: number): Promise<readonly [Promise<readonly Answer[]>]> {
        open(2, 60_000, timeout)
        const gids = await prepare(12, owner)
        expect(await commit(gids.slice(0, 2), owner)).to.deep.equal([])
        await node.reload({ synchronous_standby_names: 'nobody' })
        return [Promise.all(gids.slice(2).map((gid) => finisher.finish('commit', gid, owner)))]
    }
    const troubles = (answers: readonly Answer[]): Set<string> =>
        new Set(answers.map((answer) => (answer.ok ? 'done' : answer.problem.trouble)))

    it('tell of every order that its outcome is unknown, when the node ends the connection', async () => {
        const [answers] = await heldUp('one', 30_000)
        const waits = "from pg_stat_activity where application_name = 'a hand' and wait_event = 'SyncRep'"
        await until('an order waits', async () => (await node.query(`select ${waits}`)).length > 0)
        // As often as it takes: an order that was not sent yet goes to another connection.
        let over = false
        void answers.then(() => (over = true))
        await until('all are answered', async () => {
            if (!over) await node.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'a hand'")
            return over
        })
        expect([...troubles(await answers)]).to.deep.equal(['unknown'])
        expect(finisher.waiting).to.equal(0)
        await node.reload({ synchronous_standby_names: '' })
    })

    it('and the same, when there is no answer in time', async () => {
        const [answers] = await heldUp('two', 1000)
        const found = await answers
        expect([...troubles(found)]).to.deep.equal(['unknown'])
        expect(found.some((answer) => !answer.ok && answer.problem.message === 'no answer in time')).to.equal(true)
        expect(finisher.waiting).to.equal(0)
        await node.reload({ synchronous_standby_names: '' })
    })

    it('are as many as the node lets them be, and ask it for more only now and then', async () => {
        await node.query('create role few login connection limit 3; alter role few password $$of-a-few$$; grant three to few')
        const gids = await prepare(300, 'three')
        let asked = 0
        open(16, 60_000, 30_000, 'few', () => (asked += 1))
        expect(await commit(gids, 'three')).to.deep.equal([])
        expect(finisher.hands).to.be.within(1, 3)
        expect(asked).to.be.within(1, 40)
    })

    it('are asked for again at once when the last one is lost, though one was refused a moment ago', async () => {
        for (const { gid } of await node.query<{ gid: string }>('select gid from pg_prepared_xacts'))
            await node.query(`rollback prepared '${gid}'`)
        const gids = await prepare(40, 'one')
        let asked = 0
        open(2, 60_000, 30_000, 'hand', () => {
            asked += 1
            if (asked === 2) throw new Error('no connection to spare')
        })
        expect(await commit(gids.slice(0, 30), 'one')).to.deep.equal([])
        expect(asked).to.equal(2)
        await node.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'a hand'")
        await until('it is lost', () => finisher.hands === 0)
        expect(await commit(gids.slice(30), 'one')).to.deep.equal([])
    })

    it('answer what is handed over when they are given up for good', async () => {
        open(2, 60_000)
        finisher.close('over')
        expect(troubles([await finisher.finish('commit', 'one_1', 'one')])).to.deep.equal(new Set(['unknown']))
    })
})
