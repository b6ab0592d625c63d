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
 * "aborted" proves the loss: on this time line nobody committed under that xid. So does an xid that is still open, or not handed out
 * yet, as the branch is not prepared; and one that was not handed out yet when the time line began, which is known from an xid of
 * a set that ran there since. "committed" is taken for the branch itself; it is another transaction's if the node has handed the xid out
 * again to somebody who runs no sets, between its promotion and this first look.
 *
 * After a crash before the end it begins anew: the node's new time line is written down only then.
 */
export async function lookBack(node: Node, timeline: string, { catalog, resolver, log, coordinator }: Parts): Promise<void> {
    // What is done but not told yet would otherwise be missed: complete, and not in the table.
    await resolver.writeBack()
    const { number, name } = node.address
    let count = 0
    const gone = async (xids: readonly string[], gids: readonly string[]): Promise<ReadonlySet<string>> => {
        if (gids.length === 0) return new Set()
        const found = await node.stillCommitted(xids, gids)
        // Read behind it: what another set has committed under one of these xids by then has its record by now.
        const first = await catalog.firstXidThere(number, timeline)
        const handedOutAnew = (xid: string): boolean => first !== null && BigInt(xid) >= BigInt(first)
        const proof: readonly (string | null)[] = ['aborted', 'in progress', 'open']
        return new Set(found.filter(({ xid, status }) => proof.includes(status) || handedOutAnew(xid)).map(({ gid }) => gid))
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
}
