/** Ways in which a node is lost, and comes back. */
import type { World } from '../../support/world'

export interface Strike {
    /** Ends the sentence "… while node c …". */
    readonly is: string
    /** No end of a connection is seen: whoever waits for the node waits for a time-out. */
    readonly silent?: boolean
    hit(world: World, node: string): Promise<void>
    heal(world: World, node: string): Promise<void>
}

const start = (world: World, node: string): Promise<void> => world.nodes.get(node)!.start()
const restore = (world: World, node: string): Promise<void> => world.proxies.get(node)!.restore()

export const STRIKES: readonly Strike[] = [
    { is: 'is stopped', hit: (world, node) => world.nodes.get(node)!.stop('fast'), heal: start },
    { is: 'is stopped immediately', hit: (world, node) => world.nodes.get(node)!.stop('immediate'), heal: start },
    { is: 'gets SIGKILL', hit: (world, node) => world.nodes.get(node)!.kill(), heal: start },
    { is: 'resets and refuses connections', hit: (world, node) => world.proxies.get(node)!.cut(), heal: restore },
    {
        is: 'is cut off without a reset',
        silent: true,
        heal: restore,
        hit: (world, node) => Promise.resolve(world.proxies.get(node)!.blackhole())
    },
    {
        is: 'hangs',
        silent: true,
        hit: (world, node) => Promise.resolve(world.nodes.get(node)!.pause()),
        heal: (world, node) => Promise.resolve(world.nodes.get(node)!.resume())
    }
]
