import type { ClientConfig } from 'pg'
import type { Config } from './config'

/** How to reach the coordinator: a URL, or nothing, and then pg reads the standard PG* variables itself. */
export type ConnectionConfig = Pick<ClientConfig, 'connectionString' | 'connectionTimeoutMillis' | 'query_timeout'>

export const coordinatorConnection = (config: Config): ConnectionConfig => ({
    ...(config.databaseUrl === '' ? {} : { connectionString: config.databaseUrl }),
    connectionTimeoutMillis: 10_000
})
