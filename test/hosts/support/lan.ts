/** A network of the hosts' own: a bridge, on which each host has its own address and is found by its name. */
import type Docker from 'dockerode'
import { getContainerRuntimeClient } from 'testcontainers'
import { LABEL } from './layout'
import { imageName } from './run'

let made = 0

export class Lan {
    #last = 9

    private constructor(
        readonly name: string,
        private readonly network: Docker.Network,
        /** The first three bytes of all addresses. */
        private readonly prefix: string
    ) {}

    static async create(): Promise<Lan> {
        const name = `${imageName().replace(':', '-')}-${process.pid}-${++made}`
        // An address can be chosen only where the subnet was; which one is free the daemon knows: so it is asked for one first.
        for (let attempt = 1; ; attempt++) {
            const probe = await create(name)
            const { IPAM } = (await probe.inspect()) as Docker.NetworkInspectInfo
            const subnet = IPAM?.Config?.[0]?.Subnet
            await probe.remove()
            const [, prefix] = /^(\d+\.\d+\.\d+)\.\d+\//.exec(subnet ?? '') ?? []
            if (prefix === undefined) throw new Error(`network ${name} has no subnet of IPv4: ${String(subnet)}`)
            try {
                return new Lan(name, await create(name, subnet), prefix)
            } catch (error) {
                // Another program was faster.
                if (attempt === 5) throw error
            }
        }
    }

    /** One that no host has had. */
    newAddress(): string {
        return `${this.prefix}.${++this.#last}`
    }

    async plug(container: string, name: string, address: string): Promise<void> {
        await this.network.connect({ Container: container, EndpointConfig: { Aliases: [name], IPAMConfig: { IPv4Address: address } } })
    }

    /** From one moment to the next no packet goes in or out any more; nobody is told. */
    async unplug(container: string): Promise<void> {
        await this.network.disconnect({ Container: container })
    }

    async remove(): Promise<void> {
        await this.network.remove()
    }
}

async function create(name: string, subnet?: string): Promise<Docker.Network> {
    const { network } = await getContainerRuntimeClient()
    return network.create({
        Name: name,
        Driver: 'bridge',
        // No way out, and so none around a cable that was pulled.
        Internal: true,
        Labels: { [LABEL]: imageName() },
        ...(subnet !== undefined && { IPAM: { Driver: 'default', Config: [{ Subnet: subnet }] } })
    })
}
