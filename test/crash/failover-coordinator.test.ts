/** The coordinator's host dies under load, and its standby takes over, with a new sidecar whose state directory is empty. */
import { expect } from 'chai'
import { figure } from './support/figures'
import { Load, rowsEverywhere } from './support/load'
import { leftAlone, lostSets, recorded, rolledBack } from './support/lost'
import { Pair } from './support/pair'
import { inStep, synchronous } from './support/standby'
import { until } from '../support/wait'

const LOST = /ran on a time line that this server has left/
const TAKEN_OVER = /had not committed when this server took over/

describe('a failover of the coordinator under load', () => {
    let pair: Pair
    beforeEach(async () => {
        pair = await Pair.create({ name: 'under' })
    })
    afterEach(() => pair.destroy())

    const rows = async (): Promise<readonly number[]> => {
        const all = await rowsEverywhere(pair.world)
        for (const name of pair.world.nodes.keys()) expect(all[name], `rows on ${name} and on the coordinator`).to.deep.equal(all['a'])
        return all['a']!
    }

    for (const level of ['on', 'remote_apply']) {
        it(`with synchronous replication (synchronous_commit = ${level}) loses nothing that anybody was told`, async () => {
            const { world, old } = pair
            await synchronous(old)
            await old.reload({ synchronous_commit: level })
            const host = await pair.secondHost('--lost-sets', 'rollback')
            const load = new Load(world)
            await load.more(40)
            await pair.lose()
            await load.end()
            await pair.takeOver(host, 'adopt')
            await world.settled()
            figure('failover', `coordinator, synchronous, synchronous_commit = ${level}`, pair.diedAt)
            const there = await rows()
            expect(there).to.include.members(load.committed.map((deed) => deed.id))
            for (const { id, set } of load.deeds.filter((deed) => deed.set !== undefined)) {
                const [row] = await world.sql<{ outcome: string }>('select pglobalxact.outcome($1) as outcome', [set])
                // Of a set the standby never heard of nothing is known: nobody was told that it committed.
                expect(row!.outcome).to.be.oneOf(there.includes(id) ? ['committed'] : ['rolled back', 'unknown'])
            }
            expect(await lostSets(world, old), 'lost sets that a client was told of').to.not.include.members(
                load.committed.map(({ set }) => set)
            )
            const after = new Load(world)
            await after.more(5)
            await after.end()
            await world.settled()
            await rows()
        })
    }

    it('with asynchronous replication names every set that was lost, and no other, and leaves it to a person', async () => {
        const { world, old } = pair
        const host = await pair.secondHost()
        const load = await behindTheStandby()
        await pair.takeOver(host, 'adopt')
        const left = await leftAlone(world)
        figure('failover', 'coordinator, asynchronous, until every lost set is reported', pair.diedAt)
        await expectLost(load, left)

        // The new time line hands the same xids out, to others: that changes nothing for the lost sets.
        await world.coordinator.query('do $$ begin for i in 1 .. 200 loop perform pg_current_xact_id(); commit; end loop; end $$')
        await world.admin('select * from pglobalxact.recover()')
        expect(await leftAlone(world), 'after their xids were handed out again').to.deep.equal(left)
        for (const set of left) expect(await world.sql('select pglobalxact.outcome($1) as o', [set])).to.deep.equal([{ o: 'unknown' }])

        for (const set of left)
            await world.admin("select from pglobalxact.force_rollback($1, reason => 'lost in the failover', confirm => 'yes')", [set])
        await world.settled()
        await rows()
        expect(old.pid, 'the old primary was only read').to.not.equal(undefined)
    })

    it('with asynchronous replication and --lost-sets rollback rolls the lost sets back, by name', async () => {
        const { world } = pair
        const host = await pair.secondHost('--lost-sets', 'rollback')
        const load = await behindTheStandby()
        await pair.takeOver(host, 'adopt')
        await world.settled()
        figure('failover', 'coordinator, asynchronous, --lost-sets rollback', pair.diedAt)
        await rows()
        await expectLost(load, [])
        expect(await rolledBack(world, LOST)).to.not.be.empty
    })

    it('with a synchronous standby that programs do not wait for (synchronous_commit = local) the nodes are never ahead of it', async () => {
        const { world, old } = pair
        await synchronous(old)
        const host = await pair.secondHost()
        const load = new Load(world, { before: 'set synchronous_commit = local' })
        await load.more(20)
        load.pause()
        await pair.cutStandby()
        load.resume()
        await load.more(20)
        // The sidecar runs, and sees them; it waits for the standby, which will not come.
        await pair.lose()
        await load.end()
        await pair.takeOver(host, 'adopt')
        await expectLost(load, await leftAlone(world))
        for (const set of await leftAlone(world))
            await world.admin("select from pglobalxact.force_rollback($1, reason => 'lost in the failover', confirm => 'yes')", [set])
        await world.settled()
        await rows()
    })

    it('with asynchronous replication, and sets that were finished on the nodes before: outcome() and the old disk name them', async () => {
        const { world, old } = pair
        const host = await pair.secondHost()
        const load = new Load(world)
        await load.more(10)
        load.pause()
        await pair.cutStandby()
        load.resume()
        await load.more(20)
        await load.end()
        await world.settled()
        await pair.lose()
        await pair.takeOver(host, 'adopt')
        const lost = await lostSets(world, old)
        expect(lost.length, 'sets lost').to.be.at.least(20)
        // As docs/failover.md has it.
        const found = await world.sql<{ id: string }>(
            "select id from unnest($1::text[]) as id where pglobalxact.outcome(id) in ('unknown', 'rolled back') order by id",
            [await recorded(old, world.database)]
        )
        expect(found.map(({ id }) => id).sort()).to.deep.equal(lost)
    })

    /** Some sets are finished and replicated; the standby falls behind; others are told to be committed; the host dies. */
    async function behindTheStandby(): Promise<Load> {
        const { world, old } = pair
        const load = new Load(world)
        await load.more(20)
        await load.end()
        await world.settled()
        await inStep(old)
        // Nobody carries out what the standby is not going to hear of: every set that is lost still has its branches prepared.
        await world.sidecar!.kill()
        const later = new Load(world)
        await later.more(5)
        later.pause()
        await pair.cutStandby()
        later.resume()
        await later.more(15)
        await pair.lose()
        await later.end()
        return later
    }

    /** The lost sets are those left alone, and those rolled back and named: all of them, and none that is recorded here. */
    async function expectLost(load: Load, left: readonly string[]): Promise<void> {
        const { world, old } = pair
        const lost = await lostSets(world, old)
        expect(lost.length, 'sets lost').to.be.at.least(15)
        // History is written a moment after the deed.
        const named = await until('the lost sets are named', async () => {
            const sets = new Set([...left, ...(await rolledBack(world, LOST)), ...(await rolledBack(world, TAKEN_OVER))])
            expect([...sets]).to.include.members([...lost])
            return sets
        })
        // What else is named was in flight when the host died: its client was told nothing, or that it failed.
        const others = load.deeds.filter(({ set }) => set !== undefined && named.has(set) && !lost.includes(set))
        expect(others.filter(({ told }) => told === 'committed')).to.deep.equal([])
        expect(named.size).to.equal(lost.length + others.length)
    }
})
