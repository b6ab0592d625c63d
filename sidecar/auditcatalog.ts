import type { Client } from 'pg'
import type { ConnectionConfig } from './connection'
import { coordinatorSession } from './coordinatorsession'
import type { RecordSays } from './judgement'
import { destroy } from './session'

/** A branch as the records have it; a set without any has one row, and no node. */
export interface AuditRow {
    readonly xid: string
    readonly nonce: string
    readonly node: number | null
    readonly branch_xid: string | null
    readonly timeline: string | null
    readonly says: RecordSays
}

/** What an audit is bound by (sql/sidecar/_audit_begin.sql). */
export interface Bounds {
    readonly audit: string
    readonly since: string
    readonly seen: string
    /** Null: no set was ever complete. */
    readonly until: string | null
}

/** The last set of a batch. */
export interface Position {
    readonly complete_at: string
    readonly xid: string
}

export interface Progress {
    readonly reached: string | undefined
    readonly sets: number
    readonly branches: number
    readonly findings: readonly object[]
    readonly disagreements: readonly object[]
    readonly ended: boolean
}

/**
 * The records, for an audit: on a connection of its own, there as long as the audit. What the sidecar does on its others, phase two
 * before all, never stands behind a batch.
 */
export class AuditCatalog {
    private constructor(private readonly client: Client) {}

    static async connect(config: ConnectionConfig): Promise<AuditCatalog> {
        const client = await coordinatorSession(config, 'pglobalxact sidecar (audit)')
        return new AuditCatalog(client)
    }

    async begin(request: string, since: string): Promise<{ readonly bounds: Bounds; readonly open: readonly AuditRow[] }> {
        const sql = 'select * from pglobalxact._audit_begin($1, $2)'
        const { rows } = await this.client.query<AuditRow & Omit<Bounds, 'since'>>(sql, [request, since])
        const { audit, seen, until } = rows[0]!
        return { bounds: { audit, since, seen, until }, open: rows.filter(({ xid }) => xid !== null) }
    }

    /** Undefined when nobody waits for the audit any more. */
    async batch(bounds: Bounds, after: Position | undefined, size: number): Promise<readonly (AuditRow & Position)[] | undefined> {
        const { audit, since, seen, until } = bounds
        const { rows } = await this.client.query<AuditRow & Position & { waited: boolean }>(
            'select * from pglobalxact._audit_batch($1, $2, $3, $4, $5, $6, $7)',
            [audit, since, seen, until, after?.complete_at ?? null, after?.xid ?? null, size]
        )
        return rows[0]!.waited ? rows.filter(({ xid }) => xid !== null) : undefined
    }

    async again(sets: readonly AuditRow[]): Promise<readonly AuditRow[]> {
        const sql = 'select * from pglobalxact._audit_again($1, $2)'
        return (await this.client.query<AuditRow>(sql, [sets.map(({ xid }) => xid), sets.map(({ nonce }) => nonce)])).rows
    }

    async note({ audit }: Bounds, { reached, sets, branches, findings, disagreements, ended }: Progress): Promise<void> {
        await this.client.query('select pglobalxact._audit_note($1, $2, $3, $4, $5, $6, $7)', [
            audit,
            reached ?? null,
            sets,
            branches,
            JSON.stringify(findings),
            JSON.stringify(disagreements),
            ended
        ])
    }

    close(): void {
        destroy(this.client)
    }
}
