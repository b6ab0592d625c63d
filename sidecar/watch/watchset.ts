import type { Catalog } from '../catalog'
import type { Log } from '../log'
import type { Node } from '../node'
import type { Resolver } from '../resolver'
import type { Changes } from './changes'
import { Haste } from './haste'
import { Watcher } from './watcher'

interface Parts {
    readonly coordinator: string
    readonly log: Log
    readonly scanInterval: number
    readonly nodeTimeout: number
    readonly retryCap: number
    readonly catalog: () => Catalog | undefined
    readonly node: (number: number) => Node | undefined
    readonly resolver: () => Resolver
    readonly wake: (node: number) => void
}

const LONGEST_TURN = 1000 // ms between looks at a slot: its bounds are checked, and the feed is handed on

/** The watched nodes there are now. Without one, nothing here runs. */
export class WatchSet {
    readonly watchers = new Map<number, Watcher>()
    private readonly haste: Haste

    constructor(private readonly parts: Parts) {
        this.haste = new Haste(parts)
    }

    async refresh(catalog: Catalog): Promise<void> {
        const rows = await catalog.watchBook.list()
        const wanted = new Set(rows.map(({ node }) => node))
        for (const number of this.watchers.keys()) if (!wanted.has(number)) this.drop(number)
        for (const row of rows) {
            const known = this.watchers.get(row.node)
            if (known !== undefined) known.set(row)
            else this.watchers.set(row.node, new Watcher(row.node, row, { ...this.parts, ...this.settings, ...this.listeners }))
        }
    }

    /** The node's connections are lost, or given up. */
    lost(number: number): void {
        this.watchers.get(number)?.disconnect('the connection that holds the fence was lost')
        this.haste.forget(number)
    }

    drop(number: number): void {
        this.watchers.get(number)?.stop()
        this.watchers.delete(number)
        this.haste.forget(number)
    }

    /** The coordinator gets to keep all that is known of a set. */
    async keep(set: { readonly xid: string; readonly nonce: string }): Promise<void> {
        await Promise.all([...this.watchers.values()].map((watcher) => watcher.keep(set)))
    }

    changesOf(node: number, gid: string): Changes | undefined {
        return this.watchers.get(node)?.ledger.held.get(gid)?.changes
    }

    close(): void {
        for (const number of [...this.watchers.keys()]) this.drop(number)
        this.haste.forget()
    }

    private get settings() {
        return { interval: Math.min(this.parts.scanInterval, LONGEST_TURN), timeout: this.parts.nodeTimeout }
    }

    private get listeners() {
        return {
            prepared: (node: number, gid: string, xid: string): void => this.haste.prepared(node, gid, xid),
            finished: (_: number, gid: string): void => this.haste.finished(gid)
        }
    }
}
