/** What people read while ten thousand sets are open because a node is away. */
import { until } from '../../support/wait'
import { AT_DEFAULTS, World } from '../../support/world'
import { figure, target, type Part } from './figures'
import { makeInDoubt, prepareTables } from './indoubt'
import { startServers } from './servers'

const READS: Readonly<Record<string, string>> = {
    'sets()': 'select count(*) from pglobalxact.sets()',
    'nodes()': 'select count(*) from pglobalxact.nodes()',
    'branches()': 'select count(*) from pglobalxact.branches()',
    'branches(set)':
        "select count(*) from pglobalxact.branches((select xid || '_' || nonce from pglobalxact.commit_record where complete_at is null limit 1))",
    'status()': 'select count(*) from pglobalxact.status()',
    'history()': 'select count(*) from pglobalxact.history()',
    'outcome(set)': "select pglobalxact.outcome((select xid || '_' || nonce from pglobalxact.commit_record limit 1))"
}

export async function measureReads({ sets, rounds }: { readonly sets: number; readonly rounds: number }): Promise<Part> {
    const more = { max_prepared_transactions: sets + 1000 }
    const clusters = await startServers(['a', 'b', 'c'], { b: more, c: more })
    const world = await World.create({ name: 'reads', clusters, sidecarArgs: AT_DEFAULTS })
    await world.sidecar!.stop()
    await prepareTables(world)
    await makeInDoubt(world, sets, () => true)
    await clusters.c.stop()
    await world.startSidecar()
    const shown = "select count(*)::int as count from pglobalxact.branch_status where state = 'waiting'"
    await until('all sets wait for the node', async () => (await world.sql<{ count: number }>(shown))[0]!.count === sets, {
        timeoutMs: 90_000
    })
    const done = "select count(*)::int as count from pglobalxact.branch_record where fate = 'committed'"
    await until('the other node is done', async () => (await world.sql<{ count: number }>(done))[0]!.count === sets, { timeoutMs: 90_000 })
    const times = await timesOf(world, rounds)
    await world.sidecar!.stop()
    await Promise.all(Object.values(clusters).map((cluster) => cluster.destroy()))
    return {
        item: 'reads',
        title: `Reading with ${sets} sets open`,
        how: `All of them are committed and wait for a node that is away, with what was seen of each written down. Rows are counted on the server; ${rounds} rounds.`,
        figures: Object.entries(times).map(([what, all]) =>
            /^(sets|nodes)\(/.test(what) ? target(what, all, 1, ' ms', { atMost: 50 }) : figure(what, all, 1, ' ms')
        ),
        rounds: times,
        at: new Date().toISOString()
    }
}

async function timesOf(world: World, rounds: number): Promise<Readonly<Record<string, readonly number[]>>> {
    const client = await world.coordinator.connect({ database: world.database })
    const times: Record<string, number[]> = {}
    // The first round warms caches and plans.
    for (let round = 0; round <= rounds; round++) {
        for (const [what, text] of Object.entries(READS)) {
            const began = performance.now()
            await client.query(text)
            if (round > 0) (times[what] ??= []).push(performance.now() - began)
        }
    }
    await client.end()
    return times
}
