/** The servers of the benchmark: a coordinator and two nodes of its own, with commit times kept, and room for thousands of prepared branches. */
import { startCluster, type Cluster } from '../../support/cluster'
import { AT_DEFAULTS, World } from '../../support/world'

export const SETS = 5000 // decided and not finished at a time, when phase two is raced
export const ROWS = 10_000 // sets hardly ever wait for each other's locks

const SETTINGS = {
    track_commit_timestamp: true,
    max_prepared_transactions: SETS + 500,
    max_connections: 300,
    shared_buffers: '128MB',
    max_wal_size: '2GB',
    checkpoint_timeout: '1h'
} as const

export class Ground {
    private constructor(
        readonly world: World,
        private readonly clusters: readonly Cluster[]
    ) {}

    static async create(name: string): Promise<Ground> {
        const clusters: Cluster[] = []
        for (const one of ['a', 'b', 'c']) clusters.push(await startCluster({ name: one, settings: SETTINGS }))
        const [a, b, c] = clusters
        const world = await World.create({ name, clusters: { a: a!, b: b!, c: c! }, sidecarArgs: AT_DEFAULTS })
        const rows = `insert into account select n, 1000000 from generate_series(2, ${ROWS + 1}) n`
        await Promise.all([world.sql(rows), world.node('b', rows), world.node('c', rows)])
        await world.nodesReached()
        return new Ground(world, clusters)
    }

    async destroy(): Promise<void> {
        await this.world.destroy()
        for (const cluster of this.clusters) await cluster.destroy()
    }
}
