/** What an asynchronous failover lost, as the disk of the old primary tells, and what the new one says of it. */
import type { Cluster } from '../../support/cluster'
import { until } from '../../support/wait'
import type { World } from '../../support/world'

/** Every set that a server has a commit record of. */
export async function recorded(server: Cluster, database: string): Promise<readonly string[]> {
    const rows = await server.query<{ set_id: string }>("select xid || '_' || nonce as set_id from pglobalxact.commit_record", [], database)
    return rows.map((row) => row.set_id)
}

/** Sets that the old primary had committed and the new one has no record of. The old server is started for it, and left running. */
export async function lostSets(world: World, old: Cluster): Promise<readonly string[]> {
    if (old.pid === undefined) {
        await old.configure({ synchronous_standby_names: null })
        await old.start()
    }
    const here = new Set(await recorded(world.coordinator, world.database))
    return (await recorded(old, world.database)).filter((set) => !here.has(set)).sort()
}

/** Sets in sets() whose branches are left to a person, once every prepared branch is one of theirs. */
export async function leftAlone(world: World): Promise<readonly string[]> {
    return until('whatever is prepared is left alone and shown so', async () => {
        const [prepared, branches] = [
            await world.prepared(),
            await world.admin<{ gid: string; set_id: string; state: string }>('select gid, set_id, state from pglobalxact.branches()')
        ]
        const shown = branches.filter(({ state }) => state === 'left alone').map(({ gid }) => gid)
        if (shown.length !== branches.length || shown.sort().join() !== [...prepared].sort().join())
            throw new Error(JSON.stringify({ prepared, branches }))
        return [...new Set(branches.map(({ set_id }) => set_id))].sort()
    })
}

/** Sets that history() says recovery has rolled back, and why. */
export async function rolledBack(world: World, reason: RegExp): Promise<readonly string[]> {
    const rows = await world.sql<{ set_id: string; detail: string }>(
        "select set_id, detail from pglobalxact.event where kind = 'rolled back by recovery'"
    )
    return [...new Set(rows.filter(({ detail }) => reason.test(detail)).map(({ set_id }) => set_id))].sort()
}

export interface Trouble {
    readonly set_id: string
    readonly outcome: string
    readonly last_error: string
}

/** Sets that want a person, once a node that has failed over was seen through, and nothing is prepared or under way any more. */
export function inTrouble(world: World, node: string): Promise<readonly Trouble[]> {
    return until('all that can be finished is finished', async () => {
        const prepared = await world.prepared()
        const sets = await world.admin('select set_id, outcome, last_error from pglobalxact.sets()')
        const unfinished = sets.filter(({ outcome }) => outcome !== 'mixed' && outcome !== 'unknown')
        const [seen] = await world.sql<{ timeline: string }>(
            'select s.timeline from pglobalxact.node_status s join pglobalxact.node n on n.number = s.node where n.name = $1',
            [node]
        )
        if (prepared.length + unfinished.length > 0 || seen?.timeline !== '00000002')
            throw new Error(JSON.stringify({ prepared, unfinished, seen }))
        return sets as unknown as readonly Trouble[]
    })
}

/** As a person does who has repaired the data. */
export async function acknowledgeAll(world: World): Promise<void> {
    await world.admin("select pglobalxact.acknowledge(set_id, 'repaired by hand') from pglobalxact.sets()")
    await world.settled()
}

/** What history() has of the kinds that want a person. */
export const alarms = (world: World): Promise<readonly { kind: string; set_id: string | null }[]> =>
    world.sql("select kind, set_id from pglobalxact.event where kind in ('mixed', 'unknown', 'contradiction') order by 1, 2")
