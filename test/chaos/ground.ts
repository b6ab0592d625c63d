/** Servers, proxies, disk and sidecar of a chaos run, and the supervisor that starts the sidecar again as systemd would. */
import { randomBytes } from 'node:crypto'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { canMount, SmallDisk, unmountAll } from '../crash/support/mounts'
import { startCluster, type Cluster, type Settings } from '../support/cluster'
import { startSidecar, type Sidecar } from '../support/process'
import { startProxy, type Proxy } from '../support/proxy'
import { until } from '../support/wait'
import { World } from '../support/world'
import { createTables, NODES } from './tables'
import { Watch } from './watch'
import { KEEPS_COMMIT_TIMES } from './window'

/** Few slots, so that a chaos run runs out of them by itself now and then. */
const SETTINGS: Settings = { ...KEEPS_COMMIT_TIMES, max_prepared_transactions: 40, deadlock_timeout: '300ms' }
/** Small state files are compacted often, an impatient sidecar retries often: more happens in a minute. */
const HASTY: readonly string[] = [
    '--scan-interval',
    '200',
    '--retry-cap',
    '500',
    '--node-timeout',
    '1500',
    '--segment-bytes',
    '4096',
    '--metrics',
    'off'
]
const DISK_KB = 512
const RESTART_DELAY = 300 // ms
/** The sidecar ended as asked, was killed, or refused its state directory (full, at its start). Anything else is a bug. */
const GOOD_ENDS = new Set([0, 2, null])

export class Ground {
    readonly sidecars: Sidecar[] = []
    /** What the supervisor is told: a fault that kills the sidecar keeps it down for a while. */
    sidecarWanted = true
    /** Gids that were rolled back, or committed, by hand on their node. */
    readonly byHand = new Set<string>()
    /** Sets with an order of a person: they count as complete before a node that is away has carried it out. */
    readonly forced = new Set<string>()
    /** Sees each COMMIT PREPARED on its way. */
    readonly watch: Watch
    private supervising: Promise<void> | undefined
    private closed = false

    private constructor(
        readonly world: World,
        /** By node; "sidecar" and "clients" lead to the coordinator. */
        readonly links: ReadonlyMap<string, Proxy>,
        readonly disk: SmallDisk | undefined,
        private readonly clusters: readonly Cluster[],
        private readonly args: readonly string[]
    ) {
        this.watch = new Watch(world.stateDir, world.proxies, this.forced)
    }

    static async create(args = HASTY): Promise<Ground> {
        const clusters = await Promise.all(['a', ...NODES].map((name) => startCluster({ name, settings: SETTINGS })))
        const world = await World.create({
            name: 'chaos',
            nodes: NODES,
            proxied: true,
            bare: true,
            clusters: Object.fromEntries(clusters.map((cluster) => [cluster.name, cluster]))
        })
        await createTables(world)
        for (const name of NODES) {
            await world.sql(`alter server ${name} options (set connect_timeout '2')`)
            // A row that a branch in doubt holds must not hold the client for ever.
            await world.node(name, "alter role node_app set lock_timeout = '400ms'")
        }
        const disk = canMount() ? SmallDisk.over(world.stateDir, DISK_KB) : undefined
        if (!disk) console.error('    SKIPPED, the state directory is never full: no right to mount a file system here')
        const links = new Map(world.proxies)
        for (const name of ['sidecar', 'clients']) links.set(name, await startProxy(world.coordinator.port))
        const ground = new Ground(world, links, disk, clusters, args)
        ground.supervising = ground.supervise()
        await until('the sidecar acts', () => ground.sidecars.at(-1)?.logs.some((line) => / acting /.test(line)))
        for (const name of NODES) await world.admin('select * from pglobalxact.add_node($1)', [name])
        return ground
    }

    get sidecar(): Sidecar {
        return this.sidecars.at(-1)!
    }

    cluster(name: string): Cluster {
        return name === 'a' ? this.world.coordinator : this.world.nodes.get(name)!
    }

    async killSidecar(): Promise<void> {
        this.sidecarWanted = false
        await this.sidecar.kill()
    }

    /** What a new host has: no state files, and perhaps not even the directory's id. Only while no sidecar runs. */
    loseState(homeToo: boolean): void {
        this.watch.stateLost()
        for (const name of readdirSync(this.world.stateDir))
            if (homeToo || name !== 'home')
                if (!name.startsWith('filler')) rmSync(join(this.world.stateDir, name), { recursive: true, force: true })
    }

    /** A new id for the directory, allowed as for a planned move. */
    async newHome(): Promise<void> {
        const home = randomBytes(8).toString('hex')
        await this.world.admin("select pglobalxact.allow_home($1, 'chaos: the state directory was lost')", [home])
        writeFileSync(join(this.world.stateDir, 'home'), `${home}\n`, { mode: 0o600 })
    }

    /** Everything up and reachable again, whatever the faults left. */
    async heal(): Promise<void> {
        for (const link of this.links.values()) {
            link.delay(0)
            await link.restore()
        }
        this.disk?.free()
        this.sidecar.resume()
        for (const cluster of this.clusters) {
            cluster.resume()
            if (cluster.pid === undefined) await cluster.start()
        }
        this.sidecarWanted = true
    }

    /** What sidecars did that none may do: end by themselves. */
    badEnds(): readonly string[] {
        return this.ended
            .filter(({ code }) => !GOOD_ENDS.has(code))
            .map(({ code, last }) => `a sidecar ended by itself, code ${code}: ${last}`)
    }

    async destroy(): Promise<void> {
        this.closed = true
        await this.supervising
        await this.heal().catch(() => undefined)
        this.world.sidecar = this.sidecar
        for (const name of ['sidecar', 'clients']) await this.links.get(name)!.close()
        await this.sidecar.kill()
        unmountAll()
        await this.world.destroy().catch(() => undefined)
        for (const cluster of this.clusters) await cluster.destroy()
    }

    private readonly ended: { readonly code: number | null; readonly last: string }[] = []

    private async supervise(): Promise<void> {
        while (!this.closed) {
            if (this.sidecarWanted && this.sidecars.at(-1)?.running !== true) this.launch()
            await sleep(RESTART_DELAY)
        }
    }

    private launch(): void {
        const url = new URL(this.world.sidecarUrl)
        url.port = String(this.links.get('sidecar')!.port)
        const sidecar = startSidecar({ stateDir: this.world.stateDir, databaseUrl: url.href, args: this.args })
        this.sidecars.push(sidecar)
        void sidecar.exit.then((code) => this.ended.push({ code, last: sidecar.logs.slice(-3).join(' / ') }))
    }
}
