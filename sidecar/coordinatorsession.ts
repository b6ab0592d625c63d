import { Client } from 'pg'
import type { ConnectionConfig } from './connection'
import { destroy, noticeLoss } from './session'

/**
 * A session on the coordinator beside those by which the sidecar acts (catalog.ts). The caller ends it. Several may ask on it at once (the gate is
 * asked for all nodes): in pipeline mode the questions queue up at the server, in the order in which they were sent.
 */
export async function coordinatorSession(connection: ConnectionConfig, name: string): Promise<Client> {
    const client = new Client({ ...connection, application_name: name, keepAlive: true, pipeline: true })
    client.on('error', () => undefined) // the query under way, or the next, tells
    try {
        await client.connect()
        await client.query(
            "select set_config('search_path', 'pg_catalog', false), set_config('jit', 'off', false), set_config('statement_timeout', '0', false), " +
                "set_config('idle_session_timeout', '0', false), set_config('idle_in_transaction_session_timeout', '0', false), " +
                "set_config('default_transaction_isolation', 'read committed', false), set_config('default_transaction_read_only', 'off', false)"
        )
        await noticeLoss(client)
        return client
    } catch (error) {
        destroy(client)
        throw error
    }
}
