/** Networks: cut, slow, silent, half-open, and losing the one message that matters. */
import type { Proxy } from '../../support/proxy'
import { NODES } from '../tables'
import type { Hit, Kind } from './kind'

const LINKS = [...NODES, 'sidecar', 'clients']

const link = ({ ground, on }: Hit): Proxy => ground.links.get(on)!
const restore = (hit: Hit): Promise<void> => link(hit).restore()

/** Whose server end a link has. */
const SERVER_SIDE: Readonly<Record<string, string>> = { sidecar: "usename = 'pglobalxact'", clients: "usename = 'app'" }

/** Nothing passes, and the server drops its ends of the connections: the other side goes on believing in them. */
async function halfOpen(hit: Hit): Promise<void> {
    link(hit).blackhole()
    const own = SERVER_SIDE[hit.on] ?? "usename like 'node%'"
    await hit.ground
        .cluster(hit.on in SERVER_SIDE ? 'a' : hit.on)
        .query(`select pg_terminate_backend(pid) from pg_stat_activity where ${own}`)
}

/** Even rolls lose the message itself, odd ones only the answer to it. */
const loses = (pattern: string) => async (hit: Hit) => {
    void link(hit).onClientData(pattern, hit.roll % 2 === 0 ? 'before' : 'after', () => {
        if (hit.roll % 2 === 0) link(hit).blackhole()
        link(hit).resetAll()
        void link(hit).restore()
    })
}

export const LINK_KINDS: readonly Kind[] = [
    { name: 'link cut', on: LINKS, resource: 'link', lasts: [100, 3000], weight: 2, strike: (hit) => link(hit).cut(), heal: restore },
    {
        name: 'link silent',
        on: LINKS,
        resource: 'link',
        lasts: [200, 4000],
        weight: 2,
        strike: async (hit) => link(hit).blackhole(),
        heal: restore
    },
    {
        name: 'link silent, then reset',
        on: LINKS,
        resource: 'link',
        lasts: [200, 3000],
        strike: async (hit) => link(hit).blackhole(),
        heal: async (hit) => {
            link(hit).resetAll()
            await restore(hit)
        }
    },
    {
        name: 'link half-open',
        on: LINKS,
        resource: 'link',
        lasts: [200, 3000],
        strike: halfOpen,
        heal: async (hit) => {
            link(hit).resetAll()
            await restore(hit)
        }
    },
    {
        name: 'link slow',
        on: LINKS,
        resource: 'link',
        lasts: [500, 4000],
        strike: async (hit) => link(hit).delay(5 + (hit.roll % 100)),
        heal: async (hit) => link(hit).delay(0)
    },
    {
        name: 'COMMIT PREPARED or its answer lost',
        on: NODES,
        resource: 'link',
        lasts: [300, 300],
        weight: 2,
        strike: loses('COMMIT PREPARED')
    },
    { name: 'PREPARE or its answer lost', on: NODES, resource: 'link', lasts: [300, 300], strike: loses('prepare transaction') }
]
