import type { Client } from 'pg'
import type { AuditRow } from './auditcatalog'
import { nodeSays, type Answer } from './judgement'
import type { Node } from './node'
import { makeGid } from './protocol'
import { destroy } from './session'
import { nodeSql } from './sqlfiles'

const VERIFY = nodeSql('verify')
const STILL_PREPARED = nodeSql('still_prepared')

/**
 * One node, asked about its branches on a connection of its own, kept until close(): it looks only, and needs no fence. A node that is known
 * not to answer is not waited for.
 */
export class AuditNode {
    private client: Client | undefined

    constructor(
        private readonly node: Node,
        private readonly coordinator: string
    ) {}

    serves(node: Node): boolean {
        return this.node === node
    }

    /** What the node says of each of these branches, in order. Never throws. */
    async ask(branches: readonly AuditRow[]): Promise<readonly string[]> {
        if (!this.node.up) return branches.map(() => 'it does not answer')
        try {
            this.client ??= await this.node.visit()
            return await this.tell(this.client, branches)
        } catch {
            this.close()
            return branches.map(() => 'it does not answer')
        }
    }

    /**
     * What is prepared is read before the status that counts: a branch that is not has ended, so its status is final, or of an xid that is not
     * the branch's. All but always every branch is committed, and one question is enough.
     */
    private async tell(client: Client, branches: readonly AuditRow[]): Promise<readonly string[]> {
        const known = branches.filter(({ branch_xid }) => branch_xid !== null)
        const answers = new Map<AuditRow, Answer>()
        const look = async (rows: readonly AuditRow[], prepared: ReadonlySet<string>): Promise<void> => {
            if (rows.length === 0) return
            const found = await client.query<{ timeline: string | null; states: (string | null)[] }>(VERIFY, [
                rows.map(({ branch_xid }) => branch_xid)
            ])
            const { timeline, states } = found.rows[0]!
            for (const [at, row] of rows.entries())
                answers.set(row, { timeline: timeline ?? undefined, state: states[at] ?? null, prepared: prepared.has(this.gidOf(row)) })
        }
        await look(known, new Set())
        const open = known.filter((row) => /^(open|in progress)$/.test(answers.get(row)!.state ?? ''))
        if (open.length > 0) {
            const { rows } = await client.query<{ gid: string }>(STILL_PREPARED, [open.map((row) => this.gidOf(row))])
            await look(open, new Set(rows.map(({ gid }) => gid)))
        }
        return branches.map((row) => {
            const answer = answers.get(row)
            return answer === undefined ? 'its xid was not recorded' : nodeSays(row.timeline, answer)
        })
    }

    close(): void {
        if (this.client !== undefined) destroy(this.client)
        this.client = undefined
    }

    private gidOf({ xid, nonce }: AuditRow): string {
        return makeGid({ coordinator: this.coordinator, xid, nonce, node: this.node.address.number })
    }
}
