/**
 * A coordinator and its nodes, each on a host of its own. Two networks, as in a machine room: on "front" the programs (the tests)
 * reach the coordinator, on "back" the hosts reach each other; so the coordinator can be cut off from its nodes and go on talking
 * to its programs.
 */
import { World } from '../../support/world'
import { until } from '../../support/wait'
import { installGate } from '../../crash/support/gate'
import { Ledger, type Outcome } from '../../crash/support/ledger'
import { openClient, type Session } from '../../crash/support/session'
import { Host } from './host'
import { Lan } from './lan'
import { Server } from './server'
import { HostSidecar } from './sidecar'

export interface SceneOptions {
    readonly name: string
    /** Hosts that run a sidecar and nothing else. Without any, one runs beside the coordinator's PostgreSQL. */
    readonly sidecarHosts?: readonly string[]
}

const PASSWORD_OF = (url: string): string => new URL(url).password

/** Connections of a host that vanished are given up after 11 s by keepalives; everything else is faster. */
export const LONG = { timeoutMs: 90_000, everyMs: 200 } as const

export class Scene {
    readonly #sessions: Session[] = []

    private constructor(
        readonly world: World,
        readonly front: Lan,
        readonly back: Lan,
        readonly servers: Readonly<Record<'a' | 'b' | 'c', Server>>,
        /** The first one acts. */
        readonly sidecars: readonly HostSidecar[]
    ) {}

    static async create({ name, sidecarHosts = [] }: SceneOptions): Promise<Scene> {
        const [front, back] = [await Lan.create(), await Lan.create()]
        const [a, b, c] = await Promise.all([Server.start('a', [front, back]), ...['b', 'c'].map((node) => Server.start(node, [back]))])
        const servers = { a: a!, b: b!, c: c! }
        const world = await World.create({ name, bare: true, clusters: servers })
        await installGate(world)
        const login = `postgresql://pglobalxact:${PASSWORD_OF(world.sidecarUrl)}`
        const hosts = await Promise.all(sidecarHosts.map((host) => Host.start({ name: host, lans: [back] })))
        const sidecars =
            hosts.length === 0
                ? [new HostSidecar(servers.a.machine, `${login}@127.0.0.1/${world.database}`)]
                : hosts.map((host) => new HostSidecar(host, `${login}@a/${world.database}`))
        await sidecars[0]!.start()
        for (const node of ['b', 'c']) await world.admin(`select * from pglobalxact.add_node('${node}')`)
        return new Scene(world, front, back, servers, sidecars)
    }

    /** Everything up again, whatever an earlier test left: so that one failure is one failure. */
    async revive(): Promise<void> {
        this.dropSessions()
        await Promise.all(Object.values(this.servers).map((server) => server.revive()))
        await Promise.all(this.sidecars.map((sidecar) => sidecar.host.revive()))
        // A session whose client is gone would go on waiting at a gate, and its holder hold it.
        await this.world.sql(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = 'test' and pid <> pg_backend_pid()"
        )
        if (!(await this.sidecars[0]!.running())) await this.sidecars[0]!.start()
        await this.world.nodesReached(LONG)
    }

    async session(): Promise<Session> {
        const session = await openClient(this.world)
        this.#sessions.push(session)
        return session
    }

    /** What every test ends with: one outcome on all hosts, the money all there, and nothing left over. */
    async closes(ledger: Ledger, outcome: Outcome, set: string): Promise<void> {
        await until('nothing is left of any set', async () => this.clean(), LONG)
        await ledger.closesAs(outcome, set)
        await until('no state file is left', async () => (await this.sidecars[0]!.stateFiles()).length === 0, LONG)
    }

    private async clean(): Promise<boolean> {
        const [prepared, sets] = [await this.world.prepared(), await this.world.sql('select set_id, phase from pglobalxact.sets()')]
        if (prepared.length + sets.length > 0)
            throw new Error(JSON.stringify({ prepared, sets, sidecar: (await this.sidecars[0]!.said()).slice(-10) }))
        return true
    }

    /** A connection to a host that is not there any more would never end. */
    private dropSessions(): void {
        for (const session of this.#sessions.splice(0)) void session.killClient()
    }

    async destroy(): Promise<void> {
        this.dropSessions()
        const hosts = new Set([...Object.values(this.servers).map(({ machine }) => machine), ...this.sidecars.map(({ host }) => host)])
        await Promise.all([...hosts].map((host) => host.remove()))
        for (const lan of [this.front, this.back]) await lan.remove()
    }
}
