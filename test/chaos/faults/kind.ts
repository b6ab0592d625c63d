/** What a kind of fault is: whom it can hit, how long it lasts, what it does and what takes it back. */
import type { Ground } from '../ground'

export interface Hit {
    readonly ground: Ground
    readonly on: string
    /** 0 to 999, from the plan: which of several, where a kind has several. */
    readonly roll: number
    /** Milliseconds the plan gives it. */
    readonly lasts: number
    /** The sessions of the load. */
    readonly clients: readonly { kill(): void }[]
}

export interface Kind {
    readonly name: string
    readonly on: readonly string[]
    /** Two faults of one resource never overlap; all others may. Default: whom it hits. */
    readonly resource?: string
    /** A second resource it needs for itself. */
    readonly also?: string
    /** Milliseconds; [0, 0] for what is over at once. */
    readonly lasts: readonly [least: number, most: number]
    /** More than one card of it in the deck. */
    readonly weight?: number
    /** Returns false when there was nothing to hit. */
    strike(hit: Hit): Promise<boolean | void>
    heal?(hit: Hit): Promise<unknown>
    /** A crash in the sense of the report: how long until all is consistent again is measured for it. */
    readonly crash?: boolean
    /** Only where a file system of the test's own could be mounted. */
    readonly needsDisk?: boolean
}
