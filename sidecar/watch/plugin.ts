import { escapeIdentifier } from 'pg'
import { messageOf, sqlstateOf } from '../sqlstate'
import { Assembler, type Listener } from './assembler'
import { TextAssembler } from './textassembler'

/** Takes the messages of a stream, one by one. */
export interface Taker {
    take(bytes: Buffer, sent: string, position: bigint): void
}

/** An output plugin of the server's own, and what is made of what it writes. */
export interface Plugin {
    readonly name: 'pgoutput' | 'test_decoding'
    /** Whether it decodes the tables of a publication; otherwise all. */
    readonly publishes: boolean
    options(publication: string, version: number): string
    assembler(listener: Listener): Taker
}

export const OLDEST = 140000 // server_version_num from which prepared transactions are decoded at all
const PUBLISHING = 150000 // from which pgoutput does
const PARALLEL = 160000 // from which there is its protocol 4
const NO_FILE = '58P01'

const PGOUTPUT: Plugin = {
    name: 'pgoutput',
    publishes: true,
    options(publication, version) {
        const names = `'${escapeIdentifier(publication).replaceAll("'", "''")}'`
        return `proto_version '${version >= PARALLEL ? 4 : 3}', publication_names ${names}, streaming 'on', two_phase 'on'`
    },
    assembler: (listener) => new Assembler(listener)
}

/** Streamed before it ends, a transaction would come without its rows: what is large waits on the node's disk instead. */
const TEST_DECODING: Plugin = {
    name: 'test_decoding',
    publishes: false,
    options: () => `"include-xids" '1', "include-timestamp" '1', "skip-empty-xacts" '0', "stream-changes" '0'`,
    assembler: (listener) => new TextAssembler(listener)
}

/** By the node's server_version_num. PostgreSQL 14 decodes prepared transactions, and of its plugins only this one passes them on. */
export const pluginOf = (version: number): Plugin => (version >= PUBLISHING ? PGOUTPUT : TEST_DECODING)

/** Why there is no stream. */
export const whyNot = (error: unknown): string =>
    messageOf(error) +
    (sqlstateOf(error) === NO_FILE ? ": the plugin is one of the server's contrib modules (a package postgresql-contrib)" : '')
