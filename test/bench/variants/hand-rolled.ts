/**
 * 2PC by hand: work, PREPARE on all nodes in parallel, a durable commit record, COMMIT PREPARED on all nodes in parallel. After
 * a crash, a program that is not here would commit the prepared branches that have a record and roll back the others.
 */
import { flight, type Session } from '../session'
import { mustHavePrepared, UPDATE, type Transfer, type Variant } from './variant'

const RECORD = { name: 'record', text: 'insert into decision (tag, nodes) values ($1, $2)' } as const
const FORGET = { name: 'forget', text: 'delete from decision where tag = any ($1)' } as const
/** Records are removed together: that is off every transfer's way. */
const BATCH = 100

async function decide(session: Session, { row, tag }: Transfer): Promise<() => Promise<unknown>> {
    const gid = `'bench_${tag}'`
    await session.everywhere('begin', { ...UPDATE, values: [row, tag] })
    session.committing()
    const prepared = await session.everywhere(`prepare transaction ${gid}`)
    mustHavePrepared(prepared.map(([answer]) => answer!.command))
    await flight(session.coordinator, { ...RECORD, values: [tag, session.nodes.map((_, n) => n + 1)] })
    return () => session.everywhere(`commit prepared ${gid}`).then(() => forget(session, tag))
}

function forget(session: Session, tag: number): void {
    session.done.push(tag)
    if (session.done.length >= BATCH) session.behind(flight(session.coordinator, { ...FORGET, values: [session.done.splice(0)] }))
}

const common = { safe: true, connects: 'both', decisions: 'bench' } as const

export const handRolled: Variant = {
    ...common,
    name: 'hand-rolled',
    title: 'the floor: 2PC by hand with a durable commit record, each phase on all nodes in parallel, waits for phase two',
    transfer: async (session, transfer) => {
        const finish = await decide(session, transfer)
        await finish()
    }
}

/** The next transfer's BEGIN queues behind the COMMIT PREPARED on the same connection. */
export const handRolledNoWait: Variant = {
    ...common,
    name: 'hand-rolled-no-wait',
    title: 'the same, not waiting for phase two',
    transfer: async (session, transfer) => {
        const finish = await decide(session, transfer)
        session.behind(finish())
    }
}
