import { bothOf, flight, together, type Session } from '../session'
import { awaited } from './exec'
import { mustHavePrepared, UPDATE, type Transfer, type Variant } from './variant'

const common = { safe: true, connects: 'both', decisions: 'pglobalxact', entry: 'enlist' } as const

/** One call for all nodes; the statement depends on their number only. */
const enlisting = (branches: number): string =>
    `select array[${Array.from({ length: branches }, (_, n) => `pglobalxact.enlist('n${n + 1}')`).join(', ')}] as gids`

async function run(session: Session, { row, tag }: Transfer): Promise<void> {
    const [[, enlisted]] = await bothOf(
        flight(session.coordinator, 'begin', { name: 'enlist', text: enlisting(session.branches) }),
        session.everywhere('begin', { ...UPDATE, values: [row, tag] })
    )
    const { gids } = enlisted!.rows[0] as { gids: readonly string[] }
    session.committing()
    const prepared = await together(session.nodes.map((node, n) => flight(node, `prepare transaction '${gids[n]}'`)))
    mustHavePrepared(prepared.map(([answer]) => answer!.command))
    await flight(session.coordinator, 'commit')
}

export const enlist: Variant = {
    ...common,
    name: 'enlist',
    title: "pglobalxact.enlist: the program's own connections to the nodes, PREPAREs in parallel, then the local COMMIT",
    transfer: run
}

export const enlistAwait = awaited(enlist)
