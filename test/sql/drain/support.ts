/** What the tests of drain() share. */
import type { Client } from 'pg'
import { psql, requirePsql } from '../../support/psql'
import { fillAccounts, value } from '../../support/refused'
import { World } from '../../support/world'

/** For the top of a describe: a world of its own. Before each test `ready` is told it, and a new session of a program. */
export function drainWorld(name: string, ready: (world: World, app: Client) => void) {
    let world: World
    let app: Client
    const clients: Client[] = []

    before(requirePsql)
    before(async () => {
        world = await World.create({ name, proxied: true, sidecarArgs: ['--node-timeout', '1500'] })
    })
    after(() => world?.destroy())
    beforeEach(async () => {
        await fillAccounts(world)
        app = await session()
        ready(world, app)
    })
    afterEach(async () => {
        await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)))
        for (const proxy of world.proxies.values()) await proxy.restore()
        if (world.sidecar?.running !== true) await world.startSidecar()
        world.sidecar!.resume()
        await world.admin('select pglobalxact.resume()')
        await world.settled()
    })

    async function session(user: 'app' | 'dba' = 'app'): Promise<Client> {
        const client = await world.coordinator.connect(world.login(user))
        clients.push(client)
        return client
    }
    const superuser = async (): Promise<Client> => {
        const client = await world.coordinator.connect({ database: world.database })
        clients.push(client)
        return client
    }
    /** What a DBA types, and all that psql prints. */
    const typed = async (script: string): Promise<string> => {
        const { stdout, stderr } = await psql(world.coordinator, world.login('dba'), `\\set SHOW_CONTEXT never\n${script}`, {
            args: ['-A', '-t']
        })
        return stdout + stderr
    }
    /** A drain under way, with its notices. */
    async function draining(call = `drain('20 seconds')`): Promise<{ notices: string[]; answer: Promise<string>; client: Client }> {
        const client = await session('dba')
        const notices: string[] = []
        client.on('notice', ({ message }) => notices.push(message ?? ''))
        const answer = value(client, `select pglobalxact.${call}`) as Promise<string>
        answer.catch(() => undefined)
        return { notices, answer, client }
    }
    const pid = async (client: Client) => String(await value(client, 'select pg_backend_pid()'))
    const commit = async (client = app): Promise<string> => {
        const set = await world.transfer(client)
        await client.query('commit')
        return set
    }
    const paused = async () => (await world.sql('select from pglobalxact.coordinator where paused_at is not null')).length === 1

    return { session, superuser, typed, draining, pid, commit, paused }
}
