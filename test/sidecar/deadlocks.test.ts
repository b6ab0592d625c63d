import { expect } from 'chai'
import type { Client } from 'pg'
import { value } from '../support/refused'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { deadlocks, type Ending } from './deadlocks/support'
import { scrape } from './scraped'

const ROW = /row \(\d+,\d+\)/g
const ROLLED_BACK = /^deadlock detected over several servers: set \d+_[0-9a-f]{8} was rolled back$/

describe('a deadlock over several servers', () => {
    let world: World
    const { keep, waits, stuck, watch, counts, begin, take, wait, ending, idOf } = deadlocks('deadlocks', (ready) => (world = ready), {
        sidecarArgs: ['--metrics', '127.0.0.1:0']
    })

    interface Pair {
        readonly older: Client
        readonly younger: Client
        readonly ids: readonly [string, string]
        readonly endings: readonly [Ending, Ending]
    }

    /** Two sets, each of which has what the other wants. */
    async function pair(): Promise<Pair> {
        const [older, younger] = [await begin(), await begin()]
        await take(older, 'b')
        await take(younger, 'c')
        const first = await wait(take(older, 'c'), 1)
        const second = await wait(take(younger, 'b'), 2)
        const ids = (await stuck()).map(({ waiter }) => waiter).sort((a, b) => Number.parseInt(a) - Number.parseInt(b))
        expect(ids).to.have.length(2)
        return { older, younger, ids: [ids[0]!, ids[1]!], endings: [first.ending, second.ending] }
    }
    const events = (kind: string) =>
        world.sql<{ set_id: string; detail: string }>('select set_id, detail from pglobalxact.event where kind = $1 order by id', [kind])
    const noted = (kind: string, id: string) =>
        until(`${kind} is in history`, async () => (await events(kind)).find(({ set_id }) => set_id === id))
    const standing = async () => (await scrape(world.sidecar!)).value('pglobalxact_deadlocks_standing')
    /** Looks that began and ended after this call. */
    async function looksPass(count: number): Promise<void> {
        const { looks } = await counts()
        await until(`${count} looks have passed`, async () => (await counts()).looks >= looks + count + 1)
    }

    it('is seen by whoever asks, while nobody looks for it by itself', async () => {
        const { older, younger, ids, endings } = await pair()
        expect(
            (await waits()).map(({ place, waiter, waits_for, lock }) => [place, waiter, waits_for, lock.replace(ROW, 'row')])
        ).to.deep.equal([
            ['c', ids[0], ids[1], 'row of account'],
            ['b', ids[1], ids[0], 'row of account']
        ])
        expect((await stuck()).map(({ cycle, waiter, waits_for, victim }) => [cycle, waiter, waits_for, victim])).to.have.deep.members([
            [1, ids[0], ids[1], false],
            [1, ids[1], ids[0], true]
        ])
        const [{ dot }] = (await world.admin<{ dot: string }>('select pglobalxact.deadlock_dot() as dot')) as [{ dot: string }]
        expect(dot.replace(ROW, 'row')).to.include(`"${ids[0]}" -> "${ids[1]}" [label="c\\nrow of account", color=red, fontcolor=red]`)
        expect(dot).to.match(/^digraph lock_waits \{\n(?: {4}.*\n)+\}$/)
        expect(await counts()).to.deep.equal({ mode: 'off', looks: 0, queries: 0, found: 0, cancelled: 0 })
        await world.sql('select pg_cancel_backend(pid) from pglobalxact.in_flight where set_id = $1 limit 1', [ids[1]])
        // Somebody else's cancel is told as that.
        expect(await endings[1]).to.include({ code: '57014' })
        expect(await endings[0]).to.equal(undefined)
        await younger.query('rollback')
        await older.query('commit')
    })

    it('is reported, once, and left alone', async () => {
        await watch('report')
        const before = await counts()
        const { younger, ids, endings } = await pair()
        const { detail } = await noted('deadlock', ids[1])
        expect(detail.replaceAll(ROW, 'row').split('; ')).to.have.members([
            `${ids[0]} waits for ${ids[1]} on c (row of account)`,
            `${ids[1]} waits for ${ids[0]} on b (row of account)`
        ])
        await looksPass(3)
        const after = await counts()
        expect([after.found - before.found, after.cancelled]).to.deep.equal([1, 0])
        expect(await events('deadlock victim')).to.deep.equal([])
        expect(await stuck()).to.have.length(2)
        expect(await standing()).to.equal(1)
        await world.sql('select pg_cancel_backend(pid) from pglobalxact.in_flight where set_id = $1 limit 1', [ids[1]])
        expect(await endings[1]).to.include({ code: '57014' })
        await younger.query('rollback')
        expect(await endings[0]).to.equal(undefined)
        await until('none stands', async () => (await standing()) === 0)
    })

    it('is ended: the youngest set is rolled back everywhere, with an error that says why, and the other goes on', async () => {
        await watch('resolve')
        const before = await counts()
        const { older, younger, ids, endings } = await pairResolved()
        const error = (await endings[1])!
        expect(error).to.include({ code: '40P01' })
        expect(error.message).to.match(ROLLED_BACK).and.include(ids[1])
        expect(error.hint).to.include(`history('${ids[1]}')`)
        expect(await endings[0]).to.equal(undefined)
        await younger.query('rollback')
        await older.query('commit')
        expect(await older.query('select pglobalxact.await() as fate').then(({ rows }) => rows)).to.deep.equal([{ fate: 'committed' }])
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1001, c: 1001 })
        expect((await noted('deadlock victim', ids[1])).detail).to.include(`${ids[1]} waits for ${ids[0]} on b`)
        await until('it is counted', async () => {
            const after = await counts()
            return after.found === before.found + 1 && after.cancelled === before.cancelled + 1
        })
        const [{ deadlocks: told }] = (await world.admin<{ deadlocks: string }>('select deadlocks from pglobalxact.status()')) as [
            { deadlocks: string }
        ]
        expect(told).to.match(/^resolve: \d+ found, \d+ cancelled, by \d+ looks with \d+ queries of [\d.]+ ms$/)
    })

    /** As pair(), while the search is on: it may end the deadlock before anybody else has seen it. */
    async function pairResolved(): Promise<Pair> {
        const [older, younger] = [await begin(), await begin()]
        await take(older, 'b')
        await take(younger, 'c')
        const ids = [await idOf(older), await idOf(younger)] as const
        const first = await wait(take(older, 'c'), 1)
        return { older, younger, ids, endings: [first.ending, ending(take(younger, 'b'))] }
    }

    it('is ended in the middle of a COMMIT, when PREPARE has to wait on a node', async () => {
        await world.node('b', 'create table if not exists once (n int unique deferrable initially deferred); grant all on once to node_app')
        await watch('resolve')
        const [older, younger] = [await begin(), await begin()]
        const insert = (client: Client) => client.query(`select pglobalxact.exec('b', 'insert into once values (1)')`)
        await insert(older)
        await take(younger, 'c')
        await insert(younger)
        const first = await wait(take(older, 'c'), 1)
        const error = await ending(younger.query('commit'))
        expect(error).to.include({ code: '40P01' })
        expect(error!.message).to.match(ROLLED_BACK)
        expect(await first.ending).to.equal(undefined)
        await older.query('rollback')
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
    })

    it('is the end of the set though its program catches the error: its locks are free at once, and its COMMIT fails', async () => {
        await watch('resolve')
        const [older, younger] = [await begin(), await begin()]
        await take(older, 'b')
        await take(younger, 'c')
        const id = await idOf(younger)
        const first = await wait(take(older, 'c'), 1)
        const notices: { readonly code?: string; readonly message?: string }[] = []
        younger.on('notice', (notice) => notices.push(notice))
        const caught = `do $do$ begin
            perform pglobalxact.exec('b', 'update account set balance = balance + 1 where id = 1');
        exception when others then
            raise warning 'caught %', sqlstate;
        end $do$`
        expect(await ending(younger.query(caught))).to.equal(undefined)
        expect(notices.map(({ message }) => message)).to.include('caught 40P01')
        // What it had on c is free before its program has done anything.
        expect(await first.ending).to.equal(undefined)
        const error = await ending(younger.query('commit'))
        expect(error).to.include({ code: '08003' })
        expect(error!.message).to.match(/^set rolled back: node "c": /)
        await older.query('commit')
        expect(await older.query('select pglobalxact.await() as fate').then(({ rows }) => rows)).to.deep.equal([{ fate: 'committed' }])
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1001, c: 1001 })
        expect(await value(older, 'select pglobalxact.outcome($1)', [id])).to.equal('rolled back')
    })

    it('is ended while query() waits', async () => {
        await watch('resolve')
        const [older, younger] = [await begin(), await begin()]
        await take(older, 'b')
        await take(younger, 'c')
        const first = await wait(take(older, 'c'), 1)
        const rows = `select * from pglobalxact.query('b', 'select balance from account where id = 1 for update') as t (balance bigint)`
        expect(await ending(younger.query(rows))).to.include({ code: '40P01' })
        expect(await first.ending).to.equal(undefined)
        await older.query('commit')
    })

    for (const level of ['repeatable read', 'serializable']) {
        it(`is told as such to a set that is ${level}, whose snapshot is older`, async () => {
            await watch('resolve')
            const [older, younger] = [await begin(), await keep(world.connect())]
            await younger.query(`begin isolation level ${level}`)
            await take(older, 'b', 2)
            await take(younger, 'c', 3)
            const first = await wait(take(older, 'c', 3), 1)
            expect(await ending(take(younger, 'b', 2))).to.include({ code: '40P01' })
            expect(await first.ending).to.equal(undefined)
            await older.query('rollback')
        })
    }

    it('is ended when one of the waits is for a row of the coordinator', async () => {
        await watch('resolve')
        const [older, younger] = [await begin(), await begin()]
        await take(older, 'a', 2)
        await take(older, 'b', 2)
        await take(younger, 'b', 3)
        const first = await wait(take(older, 'b', 3), 1)
        // PostgreSQL's own words: no function of pglobalxact is on the way.
        expect(await ending(take(younger, 'a', 2))).to.include({ code: '57014', message: 'canceling statement due to user request' })
        // What it had on b is ended without its doing.
        expect(await first.ending).to.equal(undefined)
        await older.query('commit')
        expect(await older.query('select pglobalxact.await() as fate').then(({ rows }) => rows)).to.deep.equal([{ fate: 'committed' }])
    })

    it('is ended when it leads over a session on a node that is no set’s, which is never cancelled', async () => {
        await watch('resolve')
        const [older, younger] = [await begin(), await begin()]
        const outsider = await keep(world.nodes.get('b')!.connect({ database: world.database }))
        await take(older, 'b', 3)
        await take(younger, 'c', 2)
        await outsider.query('begin; update account set balance = balance + 5 where id = 4')
        const inBetween = await wait(outsider.query('update account set balance = balance + 5 where id = 3'), 1)
        const first = await wait(take(older, 'c', 2), 2)
        expect(await ending(take(younger, 'b', 4))).to.include({ code: '40P01' })
        expect(await first.ending).to.equal(undefined)
        await older.query('rollback')
        expect(await inBetween.ending).to.equal(undefined)
        await outsider.query('rollback')
    })

    it('costs one victim, the youngest, where three sets wait in a ring', async () => {
        await watch('resolve')
        const sets = [await begin(), await begin(), await begin()] as const
        await take(sets[0], 'b', 2)
        await take(sets[1], 'c', 2)
        await take(sets[2], 'b', 3)
        const youngest = await idOf(sets[2])
        const { cancelled } = await counts()
        const last = await wait(take(sets[2], 'b', 2), 1)
        const first = await wait(take(sets[0], 'c', 2), 2)
        const second = ending(take(sets[1], 'b', 3))
        const error = await last.ending
        expect(error).to.include({ code: '40P01' })
        expect(error!.message).to.include(youngest)
        expect(await second).to.equal(undefined)
        await sets[1].query('commit')
        expect(await first.ending).to.equal(undefined)
        await sets[0].query('commit')
        await looksPass(2)
        expect((await counts()).cancelled).to.equal(cancelled + 1)
    })

    it('is looked for by the next sidecar too, as it was ordered', async () => {
        await watch('resolve')
        await world.sidecar!.kill()
        const [older, younger] = [await begin(), await begin()]
        await take(older, 'b')
        await take(younger, 'c')
        const endings = [ending(take(older, 'c')), ending(take(younger, 'b'))] as const
        await world.startSidecar()
        expect(await endings[1]).to.include({ code: '40P01' })
        expect(await endings[0]).to.equal(undefined)
        await older.query('rollback')
        await younger.query('rollback')
    })
})
