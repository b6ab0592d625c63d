import type { Catalog } from './catalog'
import type { Log } from './log'
import type { Resolver } from './resolver'

/**
 * At the first look on a connection to the coordinator: sets in hand of which it has no commit record. It was restored from an older
 * backup, or it is a standby that was promoted without them. What the state files saw was decided, and is carried out; that the
 * coordinator's own part of the set is missing is told by name, before anything is sent on. A person's order outranks the state files
 * here as everywhere. Looking for their branches on the nodes would not do: they may be finished before the first look there.
 */
export async function compare(resolver: Resolver, catalog: Catalog, log: Log): Promise<void> {
    // Of what this look brought there is a record.
    const doubtful = [...resolver.sets].flatMap(([id, { recordedAt }]) => (recordedAt === undefined ? [id] : []))
    if (doubtful.length === 0) return
    for (const { set_id, orders, told } of await catalog.unrecorded(doubtful)) {
        const set = resolver.sets.get(set_id)
        if (set === undefined) continue
        for (const branch of set.branches.values()) branch.action = orders?.[branch.facts.node] ?? branch.action
        resolver.contradicted.add(set_id)
        if (told || [...set.branches.values()].every(({ action }) => action === 'rollback')) continue
        log.error('coordinator contradicts the state files', { set: set_id })
        await catalog.noteEvent(
            'contradiction',
            set_id,
            undefined,
            'the state files saw its commit record, the coordinator has none. It is committed on the nodes; was the coordinator restored from an older backup, or promoted without it?'
        )
    }
}
