import { setTimeout as sleep } from 'node:timers/promises'
import type { Catalog } from './catalog'
import type { Config } from './config'
import type { FaultPoints } from './fault'
import type { Journal } from './journal'
import type { Log } from './log'
import { NodeSet } from './nodeset'
import type { Replayed } from './replay'
import { Resolver } from './resolver'
import { StateFile } from './statefile'
import { timeOf } from './statelines'
import type { Tally } from './tally'
import { WatchSet } from './watch/watchset'

const ASK_AGAIN = 250 // ms

/** What exists from the first time this sidecar acted: it outlives connections to the coordinator. */
export interface Acting {
    readonly coordinator: string
    /** server_version_num of the coordinator, at the last welcome. */
    version: number
    readonly state: StateFile
    readonly resolver: Resolver
    readonly nodes: NodeSet
    readonly watches: WatchSet
}

interface Parts {
    readonly config: Config
    readonly coordinator: string
    readonly home: string
    /** Where the coordinator is, for people at the nodes. */
    readonly place: string
    readonly read: Replayed
    readonly journal: Journal
    readonly log: Log
    readonly fault: FaultPoints
    readonly tally: Tally
    readonly catalog: () => Catalog | undefined
}

/** Opens the state files, and takes up what they remember. Nothing is sent to a node yet (Resolver.start). */
export function beginActing({ config, coordinator, home, place, read, journal, log, fault, tally, catalog }: Parts): Acting {
    const state = StateFile.open(config.stateDir, { coordinator, home }, config, read, log, fault, tally)
    const lost = (node: number): void => watches.lost(node)
    const nodes: NodeSet = new NodeSet({
        coordinator,
        home,
        place,
        journal,
        config,
        log,
        tally,
        fault,
        catalog,
        lost,
        resolver: () => resolver
    })
    const { retryCap, scanInterval, nodeTimeout } = config
    const watches: WatchSet = new WatchSet({
        coordinator,
        log,
        scanInterval,
        nodeTimeout,
        retryCap,
        catalog,
        node: (number) => nodes.byNumber.get(number),
        resolver: () => resolver,
        wake: (number) => nodes.hurry(number)
    })
    const replicated = (): Promise<void> => awaitStandbys(catalog)
    const resolver = new Resolver({ state, nodes: nodes.byNumber, log, tally, journal, fault, coordinator, retryCap, catalog, replicated })
    for (const { events, lines } of read.live.values()) {
        const key = events.flatMap((event) => ('set' in event ? [event.set] : []))[0]
        if (key !== undefined) resolver.resume(key, events, timeOf(lines[0]!))
    }
    return { coordinator, version: 0, state, resolver, nodes, watches }
}

/** Until a coordinator says so: the one that was asked may be lost before it answers, and the sets are not handed over again. */
async function awaitStandbys(catalog: () => Catalog | undefined): Promise<void> {
    for (;;) {
        const asked = catalog()
        const told = await asked?.awaitStandbys().then(
            () => true,
            () => false
        )
        if (told) return
        await sleep(ASK_AGAIN, undefined, { ref: false })
    }
}
