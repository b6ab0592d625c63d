import type { Catalog } from './catalog'
import type { Config } from './config'
import type { FaultPoints } from './fault'
import type { Journal } from './journal'
import type { Log } from './log'
import { Node } from './node'
import { readAddress } from './nodeoptions'
import { Keeper } from './recovery'
import type { Resolver } from './resolver'
import { untilTurn } from './stagger'
import type { Tally } from './tally'

const SOONEST_RETURN = 1000 // ms between looks whether a node is due to be tried again, or its fence free

interface Parts {
    readonly coordinator: string
    readonly home: string
    readonly place: string
    readonly journal: Journal
    readonly config: Config
    readonly log: Log
    readonly tally: Tally
    readonly fault: FaultPoints
    readonly catalog: () => Catalog | undefined
    readonly resolver: () => Resolver
    /** A node's connections are lost, or given up. */
    readonly lost: (node: number) => void
}

/** The nodes there are now, each with its keeper, looked at in turn. A node whose options changed is connected anew. */
export class NodeSet {
    readonly keepers = new Map<number, Keeper>()
    readonly byNumber = new Map<number, Node>()
    private readonly signatures = new Map<number, string>()
    private readonly timers = new Map<number, NodeJS.Timeout>()

    constructor(private readonly parts: Parts) {}

    readonly uriOf = (node: number): string => this.byNumber.get(node)?.address.uri ?? 'postgresql://'

    /** Branches queued for nodes that answer. */
    get waiting(): number {
        return [...this.byNumber.values()].reduce((sum, node) => sum + node.waiting, 0)
    }

    async refresh(catalog: Catalog): Promise<void> {
        const rows = await catalog.nodeList()
        const wanted = new Set(rows.map((row) => row.number))
        for (const number of this.keepers.keys()) if (!wanted.has(number)) this.drop(number)
        for (const row of rows) {
            const signature = JSON.stringify(row)
            if (this.signatures.get(row.number) === signature) continue
            this.drop(row.number)
            this.add(
                new Node(
                    readAddress(row),
                    {
                        coordinator: this.parts.coordinator,
                        home: this.parts.home,
                        place: this.parts.place,
                        timeout: this.parts.config.nodeTimeout,
                        connections: this.parts.config.connectionsPerNode,
                        fault: this.parts.fault
                    },
                    this.parts.log,
                    this.parts.tally,
                    () => {
                        this.parts.lost(row.number)
                        this.hurry(row.number)
                    }
                ),
                signature
            )
        }
    }

    /** Gives every fence up. */
    close(): Promise<void> {
        for (const number of [...this.keepers.keys()]) this.drop(number)
        return Promise.resolve()
    }

    private add(node: Node, signature: string): void {
        const number = node.address.number
        this.byNumber.set(number, node)
        this.keepers.set(
            number,
            new Keeper(node, {
                coordinator: this.parts.coordinator,
                resolver: this.parts.resolver(),
                log: this.parts.log,
                fault: this.parts.fault,
                journal: this.parts.journal,
                lostSets: this.parts.config.lostSets,
                retryCap: this.parts.config.retryCap,
                catalog: this.parts.catalog,
                uriOf: this.uriOf
            })
        )
        this.signatures.set(number, signature)
        this.schedule(number, 0)
    }

    private drop(number: number): void {
        clearTimeout(this.timers.get(number))
        this.timers.delete(number)
        this.keepers.get(number)?.retire()
        this.parts.lost(number)
        this.byNumber.get(number)?.close()
        this.byNumber.delete(number)
        this.keepers.delete(number)
        this.signatures.delete(number)
    }

    private schedule(number: number, wait: number): void {
        clearTimeout(this.timers.get(number))
        this.timers.set(
            number,
            setTimeout(() => void this.turn(number), wait)
        )
    }

    private async turn(number: number): Promise<void> {
        const keeper = this.keepers.get(number)
        if (keeper === undefined) return
        await keeper.look()
        const interval = keeper.node.up ? this.parts.config.scanInterval : Math.min(this.parts.config.scanInterval, SOONEST_RETURN)
        if (this.keepers.get(number) === keeper) this.schedule(number, untilTurn(Date.now(), interval, number, this.parts.coordinator))
    }

    /** The node's next look is now. */
    hurry(number: number): void {
        if (this.keepers.has(number)) this.schedule(number, 0)
    }
}
