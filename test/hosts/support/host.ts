/** A host: a container with its own addresses, file system and processes. It is killed, frozen and cut off as a whole. */
import type Docker from 'dockerode'
import { GenericContainer, StartupCheckStrategy, getContainerRuntimeClient, type StartupStatus } from 'testcontainers'
import { until } from '../../support/wait'
import type { Lan } from './lan'
import { ACCOUNT, HOME, LABEL } from './layout'
import { imageName } from './run'

export interface HostOptions {
    readonly name: string
    /** The first one's address is the one by which the tests reach it. */
    readonly lans: readonly Lan[]
    /** What it runs; the host is up while this runs. Nothing but waiting by default. */
    readonly command?: readonly string[]
    readonly env?: Readonly<Record<string, string>>
}

interface Port {
    address: string
    plugged: boolean
}

export interface Ran {
    readonly code: number
    readonly output: string
}

export class Host {
    #paused = false
    readonly #ports: Map<Lan, Port>

    private constructor(
        readonly name: string,
        private readonly container: Docker.Container,
        ports: ReadonlyMap<Lan, string>
    ) {
        this.#ports = new Map([...ports].map(([lan, address]) => [lan, { address, plugged: true }]))
    }

    static async start(options: HostOptions): Promise<Host> {
        const ports = new Map(options.lans.map((lan) => [lan, lan.newAddress()]))
        const { container } = await getContainerRuntimeClient()
        const started = await new HostContainer(options, ports).start()
        return new Host(options.name, container.getById(started.getId()), ports)
    }

    /** By which the tests reach it. */
    get address(): string {
        return [...this.#ports.values()][0]!.address
    }

    /** All its processes at once; its kernel still ends their connections. What was flushed is there when it starts again. */
    async kill(): Promise<void> {
        if (await this.running()) await this.container.kill({ signal: 'SIGKILL' })
        await until(`${this.name} is dead`, async () => !(await this.running()))
    }

    /** The same without a farewell: nobody hears of it. */
    async losePower(): Promise<void> {
        await this.unplug()
        await this.kill()
    }

    async start(): Promise<void> {
        await this.plug()
        if (!(await this.running())) await this.container.start()
    }

    /** Every process on it stands still; its kernel goes on answering for them. */
    async pause(): Promise<void> {
        await this.container.pause()
        this.#paused = true
    }

    async resume(): Promise<void> {
        if (!this.#paused) return
        await this.container.unpause()
        this.#paused = false
    }

    /** Silence: nothing it sends arrives, nothing sent to it is answered, no connection is seen to end. */
    async unplug(...lans: readonly Lan[]): Promise<void> {
        for (const lan of lans.length > 0 ? lans : this.#ports.keys()) {
            const port = this.#ports.get(lan)!
            if (port.plugged) await lan.unplug(this.container.id)
            port.plugged = false
        }
    }

    /** Back on all its networks, under the addresses it had. */
    async plug(): Promise<void> {
        for (const [lan, port] of this.#ports) {
            if (!port.plugged) await lan.plug(this.container.id, this.name, port.address)
            port.plugged = true
        }
    }

    /** As after a move: the same name, another address. It must run, or it gets its new address at its start. */
    async move(): Promise<void> {
        await this.unplug()
        for (const [lan, port] of this.#ports) port.address = lan.newAddress()
        await this.plug()
    }

    /** Up, running and reachable, whatever was done to it. */
    async revive(): Promise<void> {
        await this.resume()
        await this.start()
    }

    async running(): Promise<boolean> {
        return (await this.container.inspect()).State.Running
    }

    /** Runs a command on it, whether it can be reached or not, to its end. */
    async run(...command: readonly string[]): Promise<Ran> {
        const { container } = await getContainerRuntimeClient()
        const { exitCode, output } = await container.exec(this.container, [...command])
        return { code: exitCode, output }
    }

    /** Starts a command and leaves it to itself. */
    async launch(command: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
        const Env = Object.entries(env).map(([name, value]) => `${name}=${value}`)
        const exec = await this.container.exec({ Cmd: [...command], Env })
        const answer = await exec.start({ Detach: true })
        // There is nothing in it, and unread it would keep this process.
        answer.destroy()
    }

    async remove(): Promise<void> {
        await this.resume()
        await this.container.remove({ force: true, v: true })
    }
}

/** Up as soon as it runs: who needs more of it waits for that. */
class Running extends StartupCheckStrategy {
    override checkStartupState(): Promise<StartupStatus> {
        return Promise.resolve('SUCCESS')
    }
}

class HostContainer extends GenericContainer {
    constructor({ name, lans, command = ['sleep', 'infinity'], env = {} }: HostOptions, addresses: ReadonlyMap<Lan, string>) {
        super(imageName())
        const [first, ...others] = lans
        // A container is made with one network; the others are plugged in before its start.
        this.createOpts.NetworkingConfig = {
            EndpointsConfig: { [first!.name]: { Aliases: [name], IPAMConfig: { IPv4Address: addresses.get(first!)! } } }
        }
        this.containerCreated = async (id) => {
            for (const lan of others) await lan.plug(id, name, addresses.get(lan)!)
        }
        this.createOpts.Hostname = name
        // Its own disk, apart from the image's.
        this.createOpts.Volumes = { [HOME]: {} }
        // Nobody else is to be asked for a host that is not there.
        this.hostConfig.DnsOptions = ['timeout:1', 'attempts:1']
        this.withNetworkMode(first!.name)
            .withUser(`${ACCOUNT}:${ACCOUNT}`)
            .withEnvironment({ LC_ALL: 'C', HOME, ...env })
            .withLabels({ [LABEL]: imageName() })
            .withCommand([...command])
            .withWaitStrategy(new Running())
            .withAutoCleanup(false)
    }

    protected override containerCreated: (id: string) => Promise<void>
}
