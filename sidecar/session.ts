import { Client, type ClientConfig } from 'pg'
import type { NodeAddress } from './nodeoptions'

type Settings = readonly (readonly [string, string])[]

/**
 * These let a server notice within seconds that this host is gone, and give up the locks by which one sidecar acts: the fence on a
 * node, the election on the coordinator. By itself it would wait two hours for a host that fell silent. Where a system lacks one, the others serve.
 */
const LOSS_IS_NOTICED: Settings = [
    ['tcp_keepalives_idle', '5'], // seconds
    ['tcp_keepalives_interval', '2'],
    ['tcp_keepalives_count', '3'],
    ['tcp_user_timeout', '10000'], // milliseconds
    ['client_connection_check_interval', '2000']
]

/**
 * Of one connection to a node. Names are looked for where nobody but a superuser can have planted one: an operator of a stranger's,
 * in a schema that anyone may create in, would be run by the sidecar's login.
 */
const SETTINGS: Settings = [
    ['search_path', 'pg_catalog'],
    ...LOSS_IS_NOTICED,
    ['statement_timeout', '0'],
    ['idle_session_timeout', '0'],
    ['jit', 'off']
]

export interface SessionSettings {
    readonly name: string
    /** Milliseconds; an answer that takes longer ends the connection, its outcome unknown. */
    readonly timeout: number
}

export async function connectToNode(address: NodeAddress, settings: SessionSettings): Promise<Client> {
    let failure: unknown
    for (const target of address.targets()) {
        const attempt = await connect({ ...target, ...common(settings) }).catch((error: unknown) => {
            failure = error
            return undefined
        })
        if (attempt !== undefined) return attempt
    }
    throw failure
}

const common = (settings: SessionSettings): ClientConfig & { pipeline: boolean } => ({
    application_name: settings.name,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5000,
    connectionTimeoutMillis: settings.timeout,
    query_timeout: settings.timeout,
    pipeline: true
})

async function connect(config: ClientConfig): Promise<Client> {
    const client = new Client(config)
    client.on('error', () => undefined) // the query under way, or the next, tells
    try {
        await client.connect()
        await set(client, SETTINGS)
        return client
    } catch (error) {
        destroy(client)
        throw error
    }
}

/** From now on the server of this session notices when this host is gone. */
export const noticeLoss = (client: Client): Promise<void> => set(client, LOSS_IS_NOTICED)

async function set(client: Client, settings: Settings): Promise<void> {
    const one = 'select pg_catalog.set_config($1, $2, false)'
    await Promise.all(settings.map(([name, value]) => client.query(one, [name, value]).catch(() => undefined)))
}

/** Ends a connection without a word to the server: after a time-out there may be no one to hear it. */
export function destroy(client: Client): void {
    client.connection.stream.destroy()
    void client.end().catch(() => undefined)
}
