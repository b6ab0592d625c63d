/** Servers of a crash test's own: they are killed, and must not take another file's tests with them. */
import { startCluster, type Cluster, type Settings } from '../../support/cluster'
import { World, type WorldOptions } from '../../support/world'
import { unmountAll } from './mounts'

export interface GroundOptions extends Omit<WorldOptions, 'clusters'> {
    /** More settings of a cluster, by its name; "a" is the coordinator's. */
    readonly settings?: Readonly<Record<string, Settings>>
    /** Clusters made by the test itself, destroyed with the ground. */
    readonly given?: Readonly<Record<string, Cluster>>
}

/** What a late PREPARE or COMMIT PREPARED did is read in the server's own log. */
const LOUD: Settings = { log_statement: 'all' }

const grounds = new WeakMap<World, Cluster[]>()

export async function createGround({ settings = {}, given = {}, ...options }: GroundOptions): Promise<World> {
    const names = ['a', ...(options.nodes ?? ['b', 'c'])]
    const clusters = await Promise.all(
        names.map(async (name): Promise<[string, Cluster]> => [
            name,
            given[name] ?? (await startCluster({ name, settings: { ...LOUD, ...settings[name] } }))
        ])
    )
    const world = await World.create({ ...options, clusters: Object.fromEntries(clusters) })
    grounds.set(
        world,
        clusters.map(([, cluster]) => cluster)
    )
    return world
}

/** Lets the world go and destroys its clusters, among them those given up during the test. */
export async function destroyGround(world: World | undefined, ...others: readonly (Cluster | undefined)[]): Promise<void> {
    if (!world) return
    const clusters = new Set([...(grounds.get(world) ?? []), world.coordinator, ...world.nodes.values(), ...others])
    try {
        await revive(world)
        await world.destroy()
    } finally {
        await world.sidecar?.kill()
        await Promise.all([...clusters].map((cluster) => cluster?.stop('immediate')))
        unmountAll()
        for (const cluster of clusters) await cluster?.destroy()
    }
}

/** Everything up again, whatever an earlier test left: so that one failure is one failure. */
export async function revive(world: World): Promise<void> {
    for (const proxy of world.proxies.values()) {
        proxy.delay(0)
        await proxy.restore()
    }
    for (const cluster of [world.coordinator, ...world.nodes.values()]) {
        cluster.resume()
        if (cluster.pid === undefined) await cluster.start()
    }
}

/** The same, and a sidecar that acts, started anew unless one runs. */
export async function reviveWithSidecar(world: World): Promise<void> {
    await revive(world)
    if (!world.sidecar?.running) await world.startSidecar()
}
