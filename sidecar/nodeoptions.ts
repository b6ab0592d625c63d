import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { ClientConfig } from 'pg'

/** How to reach a node: read from its foreign server and the sidecar's user mapping, kept in memory only. */
export interface NodeAddress {
    readonly number: number
    readonly name: string
    /** False for a node that was removed, or whose server was dropped, while branches there are unfinished. */
    readonly active: boolean
    /** Declared lost by a person: nobody waits for it, but should it answer, its branches are settled. */
    readonly lost: boolean
    /**
     * Tried in order: libpq's comma-separated hosts, and with sslmode=prefer each with and without TLS. Certificate files
     * are read at each call. Throws with the reason when the node cannot be reached at all as it is set up.
     */
    targets(): readonly ClientConfig[]
    readonly user: string | undefined
    /** For logs and state files: never a password. */
    readonly uri: string
    /** As the options name them; several with libpq's commas. */
    readonly hosts: readonly string[]
    readonly sslmode: string | undefined
    /** Whether connect_timeout is set: before PostgreSQL 16, dblink cannot be interrupted while it connects. */
    readonly connectTimeout: boolean
}

export interface NodeRow {
    readonly number: number
    readonly name: string
    readonly server_options: readonly string[] | null
    readonly mapping_options: readonly string[] | null
    readonly active: boolean
    readonly lost: boolean
}

export function readAddress(row: NodeRow): NodeAddress {
    const options = new Map([...(row.server_options ?? []), ...(row.mapping_options ?? [])].map(split))
    const fault =
        row.server_options === null
            ? `foreign server "${row.name}" does not exist`
            : row.mapping_options === null
              ? `role pglobalxact has no user mapping for server "${row.name}", or no USAGE on it`
              : !options.get('user')
                ? `the user mapping of role pglobalxact for server "${row.name}" names no user`
                : undefined
    return {
        number: row.number,
        name: row.name,
        active: row.active,
        lost: row.lost,
        uri: uriOf(options),
        user: options.get('user'),
        hosts: (options.get('host') ?? options.get('hostaddr') ?? '').split(','),
        sslmode: options.get('sslmode'),
        connectTimeout: options.has('connect_timeout'),
        targets: () => {
            if (fault !== undefined) throw new Error(fault)
            return targetsOf(options)
        }
    }
}

const split = (option: string): [string, string] => {
    const cut = option.indexOf('=')
    return [option.slice(0, cut), option.slice(cut + 1)]
}

function uriOf(options: ReadonlyMap<string, string>): string {
    const part = (name: string): string => encodeURIComponent(options.get(name) ?? '')
    const user = part('user')
    return `postgresql://${user}${user === '' ? '' : '@'}${part('host') || part('hostaddr') || 'localhost'}:${part('port') || '5432'}/${part('dbname') || user}`
}

function targetsOf(options: ReadonlyMap<string, string>): ClientConfig[] {
    const hosts = (options.get('hostaddr') ?? options.get('host') ?? 'localhost').split(',')
    const names = (options.get('host') ?? '').split(',')
    const ports = (options.get('port') ?? '5432').split(',')
    return hosts.flatMap((host, index) =>
        tlsOf(options, names[index] ?? host).map((ssl) => ({
            host,
            // One port serves all hosts; an empty one is the default, as libpq has it.
            port: Number((ports.length === 1 ? ports[0] : ports[index]) || '5432'),
            database: options.get('dbname') ?? options.get('user'),
            user: options.get('user'),
            // A function: for an empty password pg would take the coordinator's from PGPASSWORD, and hand it to the node.
            password: () => options.get('password') ?? '',
            ssl
        }))
    )
}

/** libpq's sslmode, in its words and order. */
function tlsOf(options: ReadonlyMap<string, string>, name: string): (ConnectionOptions | false)[] {
    const file = (option: string): Buffer | undefined => {
        const path = options.get(option)
        return path === undefined ? undefined : readFileSync(path)
    }
    const mode = options.get('sslmode') ?? 'prefer'
    const files = { ca: file('sslrootcert'), cert: file('sslcert'), key: file('sslkey') }
    const unverified: ConnectionOptions = { ...files, rejectUnauthorized: false }
    switch (mode) {
        case 'disable':
            return [false]
        case 'allow':
            return [false, unverified]
        case 'prefer':
            return [unverified, false]
        // With a root certificate libpq verifies it even for "require".
        case 'require':
            return [files.ca === undefined ? unverified : { ...files, checkServerIdentity: () => undefined }]
        case 'verify-ca':
            return [{ ...files, checkServerIdentity: () => undefined }]
        // An address is not a server name (RFC 6066): pg then has the certificate checked against the address itself.
        case 'verify-full':
            return [{ ...files, ...(isIP(name) === 0 ? { servername: name } : {}) }]
        default:
            throw new Error(`sslmode "${mode}" is not known`)
    }
}
