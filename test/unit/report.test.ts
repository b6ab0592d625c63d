import { expect } from 'chai'
import type { Catalog } from '../../sidecar/catalog'
import type { Node, Scan } from '../../sidecar/node'
import { Report, type NodeView } from '../../sidecar/report'
import type { Resolver } from '../../sidecar/resolver'

const SCAN: Scan = {
    prepared: [],
    clock: { clock: 0, asked: 0, answered: 0 },
    slots_used: 0,
    slots: 1,
    version: '17',
    standby: false,
    timeline: '00000001',
    sessions: [],
    members: null,
    oldest_prepared_at: null,
    standbys: 'none'
}

const AWAY: NodeView = {
    scan: undefined,
    seenThrough: true,
    latency: undefined,
    failure: { sqlstate: undefined, message: 'connection refused' },
    reachable: false,
    since: new Date(0),
    failures: 1,
    nextConnect: 0,
    canFinish: undefined,
    seen: undefined,
    verdicts: new Map(),
    refusals: new Map()
}
const THERE: NodeView = { ...AWAY, scan: SCAN, failure: undefined, reachable: true, failures: 0, seen: new Map() }

/** A report, and what it had removed with each telling; undefined is all that it does not name. */
function reporting() {
    const removed: (readonly string[] | undefined)[] = []
    const catalog = {
        observe: (_: unknown, __: unknown, gone: readonly string[] | undefined) => Promise.resolve(void removed.push(gone))
    } as unknown as Catalog
    const node = { address: { number: 1, name: 'b', user: 'u' }, fenceState: 'held' } as unknown as Node
    const report = new Report(node, { pendingOn: () => [] } as unknown as Resolver)
    return { removed, tell: (view: NodeView) => report.tell(catalog, view) }
}

describe('what is told of a node', () => {
    it('leaves what an earlier sidecar told of it until the node is reached, and removes it then', async () => {
        const { removed, tell } = reporting()
        await tell(AWAY)
        await tell(THERE)
        await tell({ ...AWAY, seen: new Map() })
        await tell(THERE)
        expect(removed).to.deep.equal([[], undefined, [], []])
    })
})
