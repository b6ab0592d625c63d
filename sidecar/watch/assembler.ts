import { Collection, type Changes } from './changes'
import { decode, type Ending, type Relation } from './pgoutput'

export interface Prepare extends Ending {
    readonly changes: Changes
    /** When the node had decoded it, by its own clock. */
    readonly decodedAt: string
}

export interface Listener {
    prepared(prepare: Prepare): void
    finished(ending: Ending): void
    /** A transaction that was not prepared is over. */
    passed(end: bigint): void
}

/**
 * Makes transactions of the stream's messages. Plain transactions are passed over; one that is streamed before it ends may turn out to be
 * prepared, so its changes are collected, within their bounds, until it is known.
 */
export class Assembler {
    private readonly relations = new Map<number, Relation>()
    private readonly streamed = new Map<number, Collection>()
    /** Of the prepared transaction whose changes come now. */
    private current: Collection | undefined
    private streaming: Collection | undefined

    constructor(private readonly listener: Listener) {}

    /** `sent`: when, by the node's clock. */
    take(bytes: Buffer, sent: string): void {
        const message = decode(bytes, this.streaming !== undefined)
        switch (message.kind) {
            case 'relation':
                this.relations.set(message.relation.id, message.relation)
                return
            case 'begin':
                this.current = undefined
                return
            case 'begin prepare':
                this.current = new Collection()
                return
            case 'insert':
            case 'update':
            case 'delete': {
                const relation = this.relations.get(message.relation)
                if (relation !== undefined) this.collection?.row(message, relation)
                return
            }
            case 'truncate':
                for (const id of message.relations) {
                    const relation = this.relations.get(id)
                    if (relation !== undefined) this.collection?.truncate(message.xid, relation)
                }
                return
            case 'stream start':
                this.streaming = this.streamed.get(message.xid) ?? new Collection()
                this.streamed.set(message.xid, this.streaming)
                return
            case 'stream stop':
                this.streaming = undefined
                return
            case 'stream abort':
                if (message.subxid === message.xid) this.streamed.delete(message.xid)
                else this.streamed.get(message.xid)?.undo(message.subxid)
                return
            case 'prepare':
                return this.prepared(message, sent, this.current)
            case 'stream prepare':
                return this.prepared(message, sent, this.streamed.get(message.xid))
            case 'commit prepared':
            case 'rollback prepared':
                return this.listener.finished(message)
            case 'commit':
                return this.listener.passed(message.end)
            case 'stream commit':
                this.streamed.delete(message.xid)
                return this.listener.passed(message.end)
            case 'other':
        }
    }

    private get collection(): Collection | undefined {
        return this.streaming ?? this.current
    }

    private prepared(ending: Ending, decodedAt: string, collection = new Collection()): void {
        this.current = undefined
        this.streamed.delete(ending.xid)
        this.listener.prepared({ ...ending, decodedAt, changes: collection.done() })
    }
}
