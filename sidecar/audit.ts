import { setTimeout as sleep } from 'node:timers/promises'
import { AuditCatalog, type AuditRow, type Bounds, type Position } from './auditcatalog'
import { AuditNode } from './auditnode'
import type { ConnectionConfig } from './connection'
import { judge, type Finding } from './judgement'
import type { Log } from './log'
import { setId } from './protocol'
import type { Keeper } from './recovery'
import { RequestError, WRONG_STATE } from './request'

interface Parts {
    readonly coordinator: string
    readonly connection: ConnectionConfig
    readonly keepers: ReadonlyMap<number, Keeper>
    readonly log: Log
}

interface Wanted {
    readonly request: string
    readonly since: string
    /** Sets compared together. */
    readonly batch: number
    /** Milliseconds behind each batch. */
    readonly pause: number
}

/** What was found of a branch. */
interface Compared {
    readonly row: AuditRow
    readonly finding: Finding
    readonly node: string
}

/** Branches of one node with the same finding. */
interface Tallied {
    readonly finding: Finding
    readonly node: string
    readonly record_says: string
    readonly node_says: string
    branches: number
    readonly first_set: string
}

const NOTE = 1000 // ms between notes of how far it is
const LONGEST_REST = 500 // ms between looks whether anybody still waits
const CRIED = 20 // disagreements that get a line of history and of the log each; all are counted
const WORST_FIRST: readonly Finding[] = ['disagrees', 'not proved', 'waits', 'agrees']

let underWay = false

/** verify(): one at a time, so that its load is bounded. */
export async function audit(parts: Parts, wanted: Wanted): Promise<unknown> {
    if (underWay)
        throw new RequestError(
            WRONG_STATE,
            'the nodes are being verified already',
            'See how far it is: select * from pglobalxact.audits();'
        )
    underWay = true
    try {
        const catalog = await AuditCatalog.connect(parts.connection)
        const run = new Audit(parts, catalog)
        try {
            return await run.go(wanted)
        } finally {
            run.close()
        }
    } finally {
        underWay = false
    }
}

/**
 * Compares what the commit records say of each branch with what its node says, while sets go on. The record is read first, and it says
 * "committed" only of what its node had answered for: then the node must know it. Where they disagree both are read once more, in the same
 * order, as a person's order or the sidecar itself may have come between. It writes nothing but what it found: a crash leaves an audit that
 * is shown as broken off.
 */
class Audit {
    private readonly nodes = new Map<number, AuditNode>()
    private readonly tally = new Map<string, Tallied>()
    private readonly disagreements: { readonly set_id: string; readonly node: number; readonly detail: string }[] = []
    private sets = 0
    private branches = 0
    private notedAt = Date.now()

    constructor(
        private readonly parts: Parts,
        private readonly catalog: AuditCatalog
    ) {}

    async go({ request, since, batch, pause }: Wanted): Promise<unknown> {
        const { bounds, open } = await this.catalog.begin(request, since)
        // Sets that were open may be complete when their time comes among the complete ones: they have been compared then.
        const seen = new Set(open.map(setId))
        let after: Position | undefined
        for (const rows of portions(open, batch)) {
            if ((await this.catalog.batch(bounds, after, 0)) === undefined) throw nobodyWaits()
            await this.compare(rows)
            await this.rest(bounds, after, pause)
        }
        for (;;) {
            const rows = await this.catalog.batch(bounds, after, batch)
            if (rows === undefined) throw nobodyWaits()
            if (rows.length === 0) break
            await this.compare(rows.filter((row) => !seen.has(setId(row))))
            after = rows.at(-1)
            await this.rest(bounds, after, pause)
        }
        await this.note(bounds, after, true)
        return { sets: this.sets, branches: this.branches, findings: this.findings }
    }

    /** A long pause does not outlast the patience of whoever asked by much. */
    private async rest(bounds: Bounds, after: Position | undefined, pause: number): Promise<void> {
        if (Date.now() + pause - this.notedAt >= NOTE) await this.note(bounds, after, false)
        for (let left = pause; left > 0; left -= LONGEST_REST) {
            if (left < pause && (await this.catalog.batch(bounds, after, 0)) === undefined) throw nobodyWaits()
            await sleep(Math.min(left, LONGEST_REST))
        }
    }

    close(): void {
        this.catalog.close()
        for (const node of this.nodes.values()) node.close()
    }

    private async compare(rows: readonly AuditRow[]): Promise<void> {
        const compared = await this.look(rows)
        const doubtful = compared.filter(({ finding }) => finding === 'disagrees')
        const keys = new Set(doubtful.map(({ row }) => keyOf(row)))
        const again = doubtful.length === 0 ? [] : await this.catalog.again(firstOfEach(doubtful.map(({ row }) => row)))
        const confirmed = await this.look(again.filter((row) => keys.has(keyOf(row))))
        this.sets += new Set(rows.map(setId)).size
        for (const one of [...compared.filter(({ finding }) => finding !== 'disagrees'), ...confirmed]) this.count(one)
    }

    /** All nodes at once; no branch's answer waits for another batch's node. */
    private async look(rows: readonly AuditRow[]): Promise<readonly Compared[]> {
        const byNode = new Map<number, AuditRow[]>()
        for (const row of rows) {
            if (row.node === null) continue
            const known = byNode.get(row.node)
            if (known === undefined) byNode.set(row.node, [row])
            else known.push(row)
        }
        const parts = await Promise.all(
            [...byNode].map(async ([number, branches]) => {
                const said = (await this.nodeOf(number)?.ask(branches)) ?? branches.map(() => 'it is no node any more')
                return branches.map((row, at): Compared => ({ row, node: said[at]!, finding: judge(row.says, said[at]!) }))
            })
        )
        return parts.flat()
    }

    private nodeOf(number: number): AuditNode | undefined {
        const keeper = this.parts.keepers.get(number)
        if (keeper === undefined) return undefined
        const known = this.nodes.get(number)
        // Its options were changed meanwhile: another connection, perhaps to another server.
        if (known?.serves(keeper.node) === true) return known
        known?.close()
        const made = new AuditNode(keeper.node, this.parts.coordinator)
        this.nodes.set(number, made)
        return made
    }

    private count({ row, finding, node }: Compared): void {
        const name = this.parts.keepers.get(row.node!)?.node.address.name ?? `node ${row.node}`
        const key = JSON.stringify([finding, name, row.says, node])
        const known = this.tally.get(key)
        if (known !== undefined) known.branches += 1
        else this.tally.set(key, { finding, node: name, record_says: row.says, node_says: node, branches: 1, first_set: setId(row) })
        this.branches += 1
        if (finding !== 'disagrees' || this.disagreements.length >= CRIED) return
        const detail = `the record says ${row.says}, the node says ${node}`
        this.disagreements.push({ set_id: setId(row), node: row.node!, detail })
        this.parts.log.error('node disagrees with the commit record', { node: name, set: setId(row), record: row.says, says: node })
    }

    private get findings(): readonly Tallied[] {
        const rank = ({ finding }: Tallied): number => WORST_FIRST.indexOf(finding)
        // Within a finding in the order found.
        return [...this.tally.values()].sort((a, b) => rank(a) - rank(b))
    }

    private async note(bounds: Bounds, after: Position | undefined, ended: boolean): Promise<void> {
        this.notedAt = Date.now()
        const { sets, branches, findings, disagreements } = this
        await this.catalog.note(bounds, { reached: after?.complete_at, sets, branches, findings, disagreements, ended })
    }
}

const nobodyWaits = (): RequestError =>
    new RequestError(
        '57014',
        'stopped: whoever asked does not wait for the answer any more',
        'See how far it got: select * from pglobalxact.audits();'
    )

const keyOf = (row: AuditRow): string => `${setId(row)}_${row.node}`

const firstOfEach = (rows: readonly AuditRow[]): AuditRow[] => [...new Map(rows.map((row) => [setId(row), row])).values()]

/** A set's rows stay together: counted as one. */
function* portions(rows: readonly AuditRow[], size: number): Generator<readonly AuditRow[]> {
    const sets = new Map<string, AuditRow[]>()
    for (const row of rows) sets.set(setId(row), [...(sets.get(setId(row)) ?? []), row])
    const all = [...sets.values()]
    for (let from = 0; from < all.length; from += size) yield all.slice(from, from + size).flat()
}
