import type { Catalog } from './catalog'
import type { Log } from './log'
import type { Node } from './node'
import { makeGid, setId } from './protocol'
import type { FinishedBranch } from './records'
import type { Resolver } from './resolver'

interface Parts {
    readonly catalog: Catalog
    readonly resolver: Resolver
    readonly log: Log
    readonly coordinator: string
}

/**
 * A node whose time line has changed may have gone back in time: its standby was promoted without its last transactions, or it was
 * restored from a backup. What it prepared and had not committed then is seen in P, and committed again; what it had not even prepared
 * is nowhere, and its set was complete. So the branches it had committed are looked up, the newest first, as those are the ones that
 * replication lost: until a whole batch is there.
 *
 * "aborted" proves the loss: on this time line nobody committed under that xid. So does an xid that was not handed out yet when it began:
 * one above what the node has come to, or above that of a set which ran there since. "committed" is taken for the branch itself; it is
 * another transaction's if the node has handed the xid out again to somebody who runs no sets, between its promotion and this first look.
 * Between one statement's reading of the xid and of the prepared branches, one may be finished: what is in progress and not prepared is
 * looked at again.
 *
 * Returns whether all of them were seen; if not, the next look begins anew. A crash before the end does the same: the node's new time
 * line is written down only after it.
 */
export async function lookBack(node: Node, timeline: string, { catalog, resolver, log, coordinator }: Parts): Promise<boolean> {
    // What is done but not told yet would otherwise be missed: complete, and not in the table.
    await resolver.writeBack()
    const { number, name } = node.address
    let clear = true
    let count = 0
    const gone = async (xids: readonly string[], gids: readonly string[]): Promise<ReadonlySet<string>> => {
        if (gids.length === 0) return new Set()
        const found = await node.stillCommitted(xids, gids)
        // Read behind it: what another set has committed under one of these xids by then has its record by now.
        const first = await catalog.firstXidThere(number, timeline)
        const handedOutAnew = (xid: string): boolean => first !== null && BigInt(xid) >= BigInt(first)
        const away = found.filter(({ prepared }) => !prepared)
        const lost = away.filter(({ xid, status }) => status === 'aborted' || status === 'future' || handedOutAnew(xid))
        if (away.some((one) => one.status === 'in progress' && !lost.includes(one))) clear = false
        return new Set(lost.map(({ gid }) => gid))
    }
    const cry = (sets: readonly string[]): void => {
        if (sets.length === 0) return
        count += sets.length
        log.error('node went back in time: sets that it had committed are gone there', { node: name, timeline, sets: sets.join(', ') })
    }

    const open = resolver.committedOn(number, timeline)
    const goneOpen = await gone(
        open.map(({ facts }) => facts.xid!),
        open.map(({ facts }) => facts.gid)
    )
    const reversed = open.filter(({ facts }) => goneOpen.has(facts.gid))
    for (const branch of reversed) resolver.reverse(branch)
    cry(reversed.map(({ set }) => setId(set.key)))

    let last: FinishedBranch | undefined
    do {
        const batch = await catalog.finishedThere(number, timeline, last)
        const gidOf = ({ xid, nonce }: FinishedBranch): string => makeGid({ coordinator, xid, nonce, node: number })
        const dead = await gone(
            batch.map((one) => one.branch_xid),
            batch.map(gidOf)
        )
        const sets = batch.filter((one) => dead.has(gidOf(one)))
        if (sets.length > 0) await catalog.wentBack(number, sets)
        cry(sets.map(setId))
        last = sets.length > 0 ? batch.at(-1) : undefined
    } while (last !== undefined)
    if (count > 0)
        await catalog.noteEvent('node went back', undefined, number, `${count} sets that it had committed are gone there, and mixed`)
    return clear
}
