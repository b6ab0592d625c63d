/**
 * 2PC by hand: work, PREPARE on all nodes in parallel, a durable commit record, COMMIT PREPARED on all nodes in parallel. After
 * a crash, a program that is not here would commit the prepared branches that have a record and roll back the others.
 */
import type { Client } from 'pg'
import { flight, together, type Session } from '../session'
import { mustHavePrepared, UPDATE, type Transfer, type Variant } from './variant'

const RECORD = { name: 'record', text: 'insert into decision (tag, nodes) values ($1, $2)' } as const
const FORGET = { name: 'forget', text: 'delete from decision where tag = any ($1)' } as const
/** Records are removed together: that is off every transfer's way. */
const BATCH = 100

/** Two nodes may be databases of one server, which knows a gid once: so the node is in it. */
const onAll = (nodes: readonly Client[], verb: string, { tag }: Transfer) =>
    together(nodes.map((node, n) => flight(node, `${verb} 'bench_${tag}_${n + 1}'`)))

/** Up to the decision. */
async function decide(session: Session, transfer: Transfer): Promise<void> {
    const { row, tag } = transfer
    await session.everywhere('begin', { ...UPDATE, values: [row, tag] })
    session.committing()
    const prepared = await onAll(session.nodes, 'prepare transaction', transfer)
    mustHavePrepared(prepared.map(([answer]) => answer!.command))
    await flight(session.coordinator, { ...RECORD, values: [tag, session.nodes.map((_, n) => n + 1)] })
}

async function finish(session: Session, connections: readonly Client[], transfer: Transfer): Promise<void> {
    await onAll(connections, 'commit prepared', transfer)
    forget(session, transfer.tag)
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
    async transfer(session, transfer) {
        await decide(session, transfer)
        await finish(session, session.nodes, transfer)
    }
}

/** On connections of its own: the next transfer's BEGIN would wait behind the COMMIT PREPARED. */
export const handRolledNoWait: Variant = {
    ...common,
    name: 'hand-rolled-no-wait',
    title: 'the same, not waiting for phase two, which has connections of its own',
    finishers: true,
    async transfer(session, transfer) {
        await decide(session, transfer)
        session.behind(finish(session, session.finishers, transfer))
    }
}
