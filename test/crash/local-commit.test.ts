/**
 * The instant of the decision: the local transaction's commit record is on disk, and no other session can see it yet. It is
 * held there by a synchronous standby that does not exist.
 */
import { expect } from 'chai'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { DEATHS } from './support/deaths'
import { createGround, destroyGround, reviveWithSidecar } from './support/ground'
import { Ledger } from './support/ledger'
import { beginTransfer, openClient, sendCommit, type Session } from './support/session'

describe('a set whose local commit is on disk and not yet visible', () => {
    let world: World

    const standby = (name: string): Promise<void> => world.coordinator.reload({ synchronous_standby_names: name })

    before(async () => {
        world = await createGround({ name: 'local_commit' })
    })
    beforeEach(() => reviveWithSidecar(world))
    after(() => destroyGround(world))

    async function standsAtCommit(session: Session): Promise<{ set: string; answer: Promise<'committed' | Error> }> {
        const set = await beginTransfer(world, session)
        await standby('nobody')
        const answer = sendCommit(session)
        await until(
            'the COMMIT waits for the standby',
            async () =>
                (await world.sql("select from pg_stat_activity where pid = $1 and wait_event = 'SyncRep'", [session.pid])).length > 0
        )
        return { set, answer }
    }

    it('counts as running: its branches are left alone', async () => {
        const ledger = await Ledger.open(world)
        const { set, answer } = await standsAtCommit(await openClient(world))
        const gids = await world.prepared()
        expect(gids).to.have.length(2)
        const verdicts = await world.sql(
            `
      select d.verdict from unnest($1::text[]) as gid cross join lateral pglobalxact._parse_gid(gid) g
      cross join lateral pglobalxact._decide(g.node, array[gid], array['0']) d`,
            [gids]
        )
        expect(verdicts).to.deep.equal([{ verdict: 'running' }, { verdict: 'running' }])
        await standby('')
        expect(await answer).to.equal('committed')
        await ledger.closesAs('committed', set)
    })

    for (const death of DEATHS.filter((one) => !one.clientOnly)) {
        it(`is committed everywhere, when ${death.when}`, async () => {
            const ledger = await Ledger.open(world)
            const session = await openClient(world)
            const { set, answer } = await standsAtCommit(session)
            await death.strike(world, session)
            // The sidecar's own commits would wait for the standby, too.
            await (death.heal ? world.coordinator.configure({ synchronous_standby_names: '' }) : standby(''))
            await death.heal?.(world)
            await answer
            await ledger.closesAs('committed', set)
        })
    }
})
