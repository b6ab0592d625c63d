import { Client, type ClientConfig } from 'pg'
import type { NodeAddress } from './nodeoptions'

/**
 * One connection to a node. The settings let the node notice within seconds that this host is gone, so that the fence
 * is given up; where a system lacks one, the others serve. Names are looked for where nobody but a superuser can have planted one:
 * an operator of a stranger's, in a schema that anyone may create in, would be run by the sidecar's login.
 */
const SETTINGS: readonly (readonly [string, string])[] = [
    ['search_path', 'pg_catalog'],
    ['tcp_keepalives_idle', '5'], // seconds
    ['tcp_keepalives_interval', '2'],
    ['tcp_keepalives_count', '3'],
    ['tcp_user_timeout', '10000'], // milliseconds
    ['client_connection_check_interval', '2000'],
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
        await Promise.all(
            SETTINGS.map(([name, value]) =>
                client.query('select pg_catalog.set_config($1, $2, false)', [name, value]).catch(() => undefined)
            )
        )
        return client
    } catch (error) {
        destroy(client)
        throw error
    }
}

/** Ends a connection without a word to the server: after a time-out there may be no one to hear it. */
export function destroy(client: Client): void {
    client.connection.stream.destroy()
    void client.end().catch(() => undefined)
}
