import { Client, escapeIdentifier } from 'pg'
import type { NodeAddress } from '../nodeoptions'
import { destroy } from '../session'
import type { Listener } from './assembler'
import type { Plugin, Taker } from './plugin'
import { Reader, standbyStatus } from './reader'

const STATUS_EVERY = 5000 // ms; the server ends a stream that says nothing for wal_sender_timeout, 60 s by default

/** Values are to be written the same way whatever the node's defaults are, so that they can be read back. */
const SETTINGS =
    "set search_path = pg_catalog; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set timezone = 'UTC'; " +
    'set extra_float_digits = 1; set bytea_output = hex; set statement_timeout = 0; set idle_session_timeout = 0'

export interface Positions {
    /** Everything before it has been received. */
    readonly received: bigint
    /** Nothing before it need be sent again. */
    readonly confirmed: bigint
}

/** A connection in the server's replication protocol: it takes plain SQL, one statement at a time, until it streams. */
export class WalStream {
    private timer: NodeJS.Timeout | undefined
    closed = false

    private constructor(private readonly client: Client) {}

    static async open(address: NodeAddress, name: string, timeout: number): Promise<WalStream> {
        let failure: unknown
        for (const target of address.targets()) {
            const client = new Client({
                ...target,
                application_name: name,
                replication: 'database',
                keepAlive: true,
                keepAliveInitialDelayMillis: 5000,
                connectionTimeoutMillis: timeout
            } as ConstructorParameters<typeof Client>[0])
            client.on('error', () => undefined)
            try {
                await client.connect()
                await client.query(SETTINGS)
                return new WalStream(client)
            } catch (error) {
                destroy(client)
                failure = error
            }
        }
        throw failure
    }

    async query<T extends object>(sql: string): Promise<readonly T[]> {
        return (await this.client.query<T>(sql)).rows
    }

    /** Streams until the connection is lost or closed, and throws when the server says why. `moved`: a keepalive told of a position. */
    async stream(
        { slot, plugin, options }: { readonly slot: string; readonly plugin: Plugin; readonly options: string },
        listener: Listener,
        positions: () => Positions,
        moved: (position: bigint) => void
    ): Promise<void> {
        const assembler = plugin.assembler(listener)
        const { connection } = this.client
        let broken: unknown
        connection.on('copyData', ({ chunk }: { readonly chunk: Buffer }) => {
            try {
                this.take(chunk, assembler, positions, moved)
            } catch (error) {
                broken = error
                this.close()
            }
        })
        this.timer = setInterval(() => this.tell(positions()), STATUS_EVERY)
        try {
            await this.client.query(`START_REPLICATION SLOT ${escapeIdentifier(slot)} LOGICAL 0/0 (${options})`)
        } catch (error) {
            throw broken ?? error
        } finally {
            this.close()
        }
    }

    tell({ received, confirmed }: Positions): void {
        // pg has a name for it: a message of the copy protocol is the same in both directions.
        if (!this.closed) (this.client.connection as unknown as CopySender).sendCopyFromChunk(standbyStatus(received, confirmed))
    }

    close(): void {
        this.closed = true
        clearInterval(this.timer)
        destroy(this.client)
    }

    private take(chunk: Buffer, assembler: Taker, positions: () => Positions, moved: (position: bigint) => void): void {
        if (this.closed) return
        const from = new Reader(chunk)
        const kind = from.char()
        if (kind === 'w') {
            const position = from.uint64()
            from.uint64()
            const sent = from.time()
            assembler.take(from.rest(), sent, position)
        } else if (kind === 'k') {
            moved(from.uint64())
            from.uint64()
            if (from.byte() === 1) this.tell(positions())
        }
    }
}

interface CopySender {
    sendCopyFromChunk(chunk: Buffer): void
}
