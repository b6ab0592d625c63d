import { markOf, removeMark } from './marks'
import type { Prepared } from './node'
import { gidPattern } from './protocol'
import type { PointStanding, Verdict } from './records'
import type { Keeper } from './recovery'
import type { RequestParts } from './request'
import type { PointServer } from './pointwrite'
import type { Manifest } from './restorepoints'
import { nodeSql } from './sqlfiles'

const STATE = nodeSql('point_state')
const PREPARED = nodeSql('point_prepared')

type Seen = Pick<Prepared, 'gid' | 'xid' | 'prepared_at'>

/** Of reconcile()'s answer. */
export interface Row {
    readonly server: string
    readonly set_id: string | null
    readonly state: string
    readonly result: string
}

/** A node of a restore point, as it is now. */
export interface Site {
    /** another server: by its system identifier. elsewhere: on another time line, and not known to have been at the point. */
    readonly state: 'restored' | 'not restored' | 'elsewhere' | 'another server'
    readonly timeline: string
    /** Branches of this coordinator that are prepared, each with its verdict. */
    readonly branches: readonly (Seen & Verdict)[]
    readonly look: () => Promise<readonly Seen[]>
    /** All is told of a node that was restored: its mark goes, what it proved is kept. */
    readonly settled: () => Promise<void>
}

export async function lookAt(
    { catalog, coordinator, config }: RequestParts,
    { id }: Manifest,
    server: PointServer,
    { node }: Keeper,
    reconciled: PointStanding['reconciled']
): Promise<Site> {
    const number = server.number!
    const [now] = await node.lookOnce<{ timeline: string; system_identifier: string; marked: boolean }>(STATE, [
        markOf({ coordinator, id }, number, server.timeline)
    ])
    const { timeline, system_identifier, marked } = now!
    const look = (): Promise<readonly Seen[]> => node.lookOnce<Seen>(PREPARED, [gidPattern(coordinator)])
    const seen = await look()
    // P is in hand: what is decided about it is asked behind it.
    const verdicts = await catalog.decide(
        number,
        seen.map(({ gid }) => gid),
        seen.map(({ xid }) => xid)
    )
    const restored = marked || reconciled[String(number)] === timeline
    return {
        state:
            system_identifier !== server.system_identifier
                ? 'another server'
                : restored
                  ? 'restored'
                  : timeline === server.timeline
                    ? 'not restored'
                    : 'elsewhere',
        timeline,
        branches: verdicts.map((verdict) => ({ ...seen.find(({ gid }) => gid === verdict.gid)!, ...verdict })),
        look,
        settled: async () => {
            await catalog.reconciled(id, number, timeline)
            // A crash here leaves a mark that the next call finds, and removes.
            if (marked) await removeMark(node.address, { coordinator, id }, config.nodeTimeout)
        }
    }
}
