import { escapeIdentifier, escapeLiteral } from 'pg'
import type { Node } from '../node'
import type { WalStream } from './walstream'

export interface SlotPlace {
    readonly name: string
    readonly plugin: string
    /** Milliseconds that making it may take: it waits for transactions that are older, and while it waits they hold it. */
    readonly timeout: number
}

/** One per coordinator and node, and so per database: slots are known by name in the whole server. */
export const nameOfSlot = (coordinator: string, node: number): string => `pgx_${coordinator}_${node}`

/** Throws when transactions that are open do not end in time: tried again later. */
export async function createSlot(stream: WalStream, { name, plugin, timeout }: SlotPlace): Promise<void> {
    await stream.query(`set statement_timeout = ${Math.ceil(timeout)}`)
    await stream.query(`select pg_create_logical_replication_slot(${escapeLiteral(name)}, ${escapeLiteral(plugin)}, false, true)`)
    await stream.query('set statement_timeout = 0')
}

/** A session of ours that streams it, be it one whose connection was lost, is ended first. */
export async function dropSlot(node: Node, name: string): Promise<void> {
    const deadline = Date.now() + 5000
    for (;;) {
        const [slot] = await node.lookOnce<{ pid: number | null }>(
            'select s.active_pid as pid from pg_catalog.pg_replication_slots s where s.slot_name = $1',
            [name]
        )
        if (slot === undefined) return
        try {
            if (slot.pid !== null) await node.lookOnce('select pg_catalog.pg_terminate_backend($1)', [slot.pid])
            await node.lookOnce('select pg_catalog.pg_drop_replication_slot($1)', [name])
            return
        } catch (error) {
            if (Date.now() > deadline) throw error
            await new Promise((done) => setTimeout(done, 50))
        }
    }
}

/** What a person types at the node when the sidecar cannot. */
export const dropByHand = (name: string): string => `select pg_drop_replication_slot(${escapeLiteral(name)});`

export const publicationByHand = (name: string): string => `create publication ${escapeIdentifier(name)} for all tables;`
