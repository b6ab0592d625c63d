import { EventEmitter } from 'node:events'
import type { Client } from 'pg'
import { destroy } from './session'

/** Undefined: it was carried out. */
type Told = (error: unknown) => void

interface Order {
    readonly sentAt: number
    readonly told: Told
}

/** What the server says to an order; the driver's own listeners for these do not serve an order that it did not send. */
const ANSWERS = ['commandComplete', 'errorMessage', 'readyForQuery', 'rowDescription', 'dataRow', 'emptyQuery'] as const

/**
 * One connection on which branches are finished, taken over from the driver once it has logged in. Orders are plain statements without
 * rows, many under way at a time, and for each the driver would make a query, a promise and a timer: that is most of what a
 * COMMIT PREPARED costs this process. Here an order is a message out and a message in. They are answered in the order in which they were sent,
 * each exactly once, and each by its own: an error of one leaves the others alone. What is not answered when the connection
 * ends is told so, and its outcome is unknown.
 */
export class Hand {
    private readonly orders: Order[] = []
    private head = 0
    private error: unknown
    private done = false
    private lost: Error | undefined
    private corked = false
    private destroyed = false
    private watch: NodeJS.Timeout | undefined

    /** `timeout`: milliseconds within which each order must be answered, or the connection is given up. */
    constructor(
        private readonly client: Client,
        private readonly timeout: number
    ) {
        const connection: EventEmitter = client.connection
        for (const event of ANSWERS) connection.removeAllListeners(event)
        connection.on('commandComplete', () => (this.done = true))
        connection.on('errorMessage', (error: Error) => (this.error = error))
        connection.on('readyForQuery', () => this.answered())
        connection.on('error', (error: Error) => (this.lost ??= error))
        client.once('end', () => this.fail(this.error ?? this.lost ?? new Error('Connection terminated unexpectedly')))
    }

    /** Orders sent, and not answered. */
    get flying(): number {
        return this.orders.length - this.head
    }

    onEnd(ended: () => void): void {
        this.client.once('end', ended)
    }

    quote(literal: string): string {
        return this.client.escapeLiteral(literal)
    }

    quoteName(name: string): string {
        return this.client.escapeIdentifier(name)
    }

    /** Goes out with the next flush(), with all that was ordered before it. */
    order(sql: string, told: Told): void {
        const { connection } = this.client
        if (!this.corked) connection.stream.cork()
        this.corked = true
        this.orders.push({ sentAt: performance.now(), told })
        connection.query(sql)
        this.watch ??= setTimeout(() => this.look(), this.timeout)
    }

    flush(): void {
        if (this.corked) this.client.connection.stream.uncork()
        this.corked = false
    }

    /** Without a word to the server; nobody waits for it. */
    destroy(): void {
        if (!this.destroyed) destroy(this.client)
        this.destroyed = true
    }

    /** When all is answered. */
    end(): void {
        void this.client.end().catch(() => undefined)
    }

    private answered(): void {
        const { error, done } = this
        this.error = undefined
        this.done = false
        // Neither done nor refused: no answer to an order of this kind, so nothing is known of it.
        this.take()?.told(error ?? (done ? undefined : new Error('the server answered something else')))
    }

    private take(): Order | undefined {
        const order = this.orders[this.head]
        if (order === undefined) return undefined
        this.head += 1
        if (this.head === this.orders.length) {
            this.orders.length = this.head = 0
            clearTimeout(this.watch)
            this.watch = undefined
        }
        return order
    }

    /** One timer for all: it looks at the oldest. */
    private look(): void {
        this.watch = undefined
        const oldest = this.orders[this.head]
        if (oldest === undefined) return
        const left = oldest.sentAt + this.timeout - performance.now()
        if (left > 0) {
            this.watch = setTimeout(() => this.look(), left)
            return
        }
        this.lost ??= new Error('Query read timeout')
        this.destroy()
        this.fail(this.lost)
    }

    /** An error that the server sent before it ended the connection is the oldest order's; of the others nothing is known. */
    private fail(error: unknown): void {
        this.error = undefined
        this.lost ??= new Error('Connection terminated unexpectedly')
        this.take()?.told(error)
        for (let order = this.take(); order !== undefined; order = this.take()) order.told(this.lost)
    }
}
