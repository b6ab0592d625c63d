import { parseGid } from '../protocol'
import { RequestError, UNKNOWN_OBJECT, WRONG_STATE, type RequestParts } from '../request'
import { messageOf } from '../sqlstate'
import { dropByHand, dropSlot, nameOfSlot } from './slot'
import { checkWatch, obstacle, type WatchFacts, type WatchItem } from './watchcheck'
import { nodeSql } from '../sqlfiles'

const WATCH = nodeSql('watch')
const PATIENCE = 3000 // ms for the stream to begin, while somebody waits in psql

/** watch_node(): refuses what cannot be, enters the node, and waits a little for its stream. */
export async function watchNode(
    parts: RequestParts,
    given: {
        readonly server: string
        readonly publication: string
        readonly allGids: boolean
        readonly maxWal: string
        readonly by: string
    }
): Promise<readonly WatchItem[]> {
    const { watches, catalog } = parts
    const { node } = await reachable(parts, given.server)
    const { number } = node.address
    const names = { slot: nameOfSlot(parts.coordinator, number), publication: given.publication, node: given.server }
    const facts = (await node.look<WatchFacts>(WATCH, [names.slot, given.publication]))[0]!
    const problem = obstacle(facts, names)
    if (problem !== undefined)
        throw new RequestError(WRONG_STATE, `node "${given.server}" cannot be watched: ${problem.finding}`, `On the node: ${problem.fix}`)
    await catalog.watchBook.enter(number, given.publication, given.allGids, given.maxWal, given.by)
    await watches.refresh(catalog)
    const watcher = watches.watchers.get(number)!
    const deadline = Date.now() + PATIENCE
    while (watcher.state !== 'streaming' && Date.now() < deadline) {
        await watcher.look()
        await new Promise((done) => setTimeout(done, 20))
    }
    await watcher.look()
    const streaming = watcher.state === 'streaming'
    const state = {
        item: 'stream',
        ok: streaming,
        detail: watcher.message ?? watcher.state,
        hint: streaming ? '' : 'It is tried again. See: select * from pglobalxact.watched();'
    }
    return [...checkWatch(watcher.facts ?? facts, names), state]
}

/** unwatch_node(): the slot first, as nobody else would drop it. */
export async function unwatchNode(parts: RequestParts, server: string, abandon: boolean): Promise<{ readonly result: string }> {
    const { watches, catalog } = parts
    const keeper = [...parts.keepers.values()].find(({ node }) => node.address.name === server)
    const number = keeper?.node.address.number
    if (keeper === undefined || number === undefined || !watches.watchers.has(number))
        throw new RequestError(UNKNOWN_OBJECT, `node "${server}" is not watched`, 'See: select * from pglobalxact.watched();')
    const slot = nameOfSlot(parts.coordinator, number)
    let result = `slot "${slot}" was dropped`
    watches.watchers.get(number)?.disconnect('not watched any more')
    try {
        if (!keeper.node.up) throw new Error('it does not answer')
        // Not streamed again meanwhile: this watcher is stopped, and only a refresh makes another.
        watches.drop(number)
        await dropSlot(keeper.node, slot)
    } catch (error) {
        if (!abandon) {
            await watches.refresh(catalog)
            throw new RequestError(
                WRONG_STATE,
                `the slot "${slot}" on node "${server}" could not be dropped: ${messageOf(error)}`,
                `If the node will not come back: select pglobalxact.unwatch_node('${server}', abandon => true); and should it come back, there: ${dropByHand(slot)}`
            )
        }
        result = `slot "${slot}" may still be on the node and keep its WAL; there: ${dropByHand(slot)}`
        watches.drop(number)
    }
    await catalog.watchBook.strike(number)
    return { result }
}

/** For changes() and repair_sql(): what is in memory goes where they read it. No row is in the answer, which is kept. */
export async function keepChanges(parts: RequestParts, set: string): Promise<unknown> {
    const key = parseGid(`pgx_${parts.coordinator}_${set}_1`)
    if (key !== undefined) await parts.watches.keep(key)
    return {}
}

async function reachable(parts: RequestParts, server: string) {
    await parts.refreshNodes()
    const keeper = [...parts.keepers.values()].find(({ node }) => node.address.name === server)
    if (keeper === undefined)
        throw new RequestError(UNKNOWN_OBJECT, `node "${server}" does not exist`, 'See: select * from pglobalxact.nodes();')
    const { result } = await keeper.look(true)
    if (!keeper.node.up)
        throw new RequestError(
            WRONG_STATE,
            `node "${server}" cannot be watched now: ${result}`,
            `See: select * from pglobalxact.check_node('${server}');`
        )
    return keeper
}
