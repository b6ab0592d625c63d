import { escapeIdentifier } from 'pg'
import { OLDEST, pluginOf } from './plugin'
import { dropByHand, publicationByHand } from './slot'

/** A node that may be watched, or not, as sql/node/watch.sql has it. */
export interface WatchFacts {
    readonly version: number
    readonly standby: boolean
    readonly wal_level: string
    readonly synchronous: string
    /** max_slot_wal_keep_size. */
    readonly keep: string
    readonly slots: number
    readonly slots_used: number
    readonly login: string
    readonly database: string
    /** server_encoding. */
    readonly encoding: string
    readonly snapshot: string
    readonly may_replicate: boolean
    readonly publication: boolean
    readonly slot: {
        readonly plugin: string
        readonly database: string
        readonly active_pid: number | null
        readonly wal_status: string | null
        /** Bytes of WAL. */
        readonly kept: number | null
        readonly lag: number | null
    } | null
    /** Who holds a lock that the slot's session waits for. */
    readonly blockers: readonly string[] | null
}

export interface WatchItem {
    readonly item: string
    readonly ok: boolean
    readonly detail: string
    readonly hint: string
}

interface Names {
    readonly slot: string
    readonly publication: string
    readonly node: string
}

interface Rule {
    readonly item: string
    readonly detail: string
    readonly finding: string | false
    readonly fix: string
}

/** As sql/functions/watch_node.sql has it. */
const DEFAULT_PUBLICATION = 'pglobalxact'
const ENCODINGS = new Set(['UTF8', 'SQL_ASCII'])

/** Any standby: a name, or a list with one, that is a star. */
const STAR = /(^|[\s,(])("\*"|\*)/

const rules = (facts: WatchFacts, { slot, publication }: Names): readonly Rule[] => {
    const login = escapeIdentifier(facts.login)
    const plugin = pluginOf(facts.version)
    return [
        {
            item: 'primary',
            detail: 'accepts writes',
            finding: facts.standby && 'the server is a standby',
            fix: 'Make the foreign server point to the primary.'
        },
        {
            item: 'version',
            detail: `PostgreSQL ${Math.floor(facts.version / 10_000)}`,
            finding: facts.version < OLDEST && 'prepared transactions are decoded from PostgreSQL 14 on',
            fix: 'Upgrade the node to PostgreSQL 14 or later.'
        },
        {
            item: 'wal_level',
            detail: facts.wal_level,
            finding: facts.wal_level !== 'logical' && `wal_level is ${facts.wal_level}, and decoding needs logical`,
            fix: 'alter system set wal_level = logical; /* then restart the server */'
        },
        {
            item: 'replication role',
            detail: facts.login,
            finding: !facts.may_replicate && `role "${facts.login}", as which the sidecar logs in, may not replicate`,
            fix: `alter role ${login} replication;`
        },
        ...(plugin.publishes ? published(facts, publication) : everything(facts, publication)),
        {
            item: 'free slot',
            detail: `${facts.slots_used} of ${facts.slots} used`,
            finding: facts.slot === null && facts.slots_used >= facts.slots && 'no replication slot is free',
            fix: `alter system set max_replication_slots = ${facts.slots + 5}; /* then restart the server */`
        },
        {
            item: 'own slot',
            detail: slot,
            finding:
                facts.slot !== null &&
                (facts.slot.plugin !== plugin.name || facts.slot.database !== facts.database) &&
                `slot "${slot}" is another one: plugin ${facts.slot.plugin}, database "${facts.slot.database}"`,
            fix: `${dropByHand(slot)} /* if nobody needs it */`
        },
        {
            item: 'synchronous standbys',
            detail: facts.synchronous === '' ? 'none' : facts.synchronous,
            finding:
                STAR.test(facts.synchronous) &&
                'synchronous_standby_names has a *: the stream would pass for a standby, and commits would wait for it',
            fix: "alter system set synchronous_standby_names = '…'; select pg_reload_conf(); /* the names of the standbys */"
        }
    ]
}

const published = (facts: WatchFacts, publication: string): readonly Rule[] => [
    {
        item: 'publication',
        detail: publication,
        finding: !facts.publication && `publication "${publication}" does not exist in database "${facts.database}"`,
        fix: `${publicationByHand(publication)} /* as a superuser; or, by the tables' owner, for the tables you want to see */`
    },
    { item: 'encoding', detail: facts.encoding, finding: false, fix: '' }
]

/** test_decoding knows no publications, and writes what it decodes as the database has it. */
const everything = (facts: WatchFacts, publication: string): readonly Rule[] => [
    {
        item: 'publication',
        detail: 'none: PostgreSQL 14 decodes all tables',
        // Whoever names one wants the other tables not to be seen.
        finding:
            publication !== DEFAULT_PUBLICATION && `publication "${publication}" would have no effect: PostgreSQL 14 decodes all tables`,
        fix: 'leave "publication" out of watch_node() if all tables may be decoded; or upgrade to PostgreSQL 15 or later.'
    },
    {
        item: 'encoding',
        detail: facts.encoding,
        finding:
            !ENCODINGS.has(facts.encoding) &&
            `the database's encoding is ${facts.encoding}, and PostgreSQL 14 does not convert what it decodes`,
        fix: 'only a database in UTF8 can be watched on PostgreSQL 14; upgrade to PostgreSQL 15 or later.'
    }
]

/** The first thing for which the node cannot be watched. */
export function obstacle(facts: WatchFacts, names: Names): { readonly finding: string; readonly fix: string } | undefined {
    const found = rules(facts, names).find(({ finding }) => finding !== false)
    return found && { finding: String(found.finding), fix: found.fix }
}

/** All of it, as watch_node() shows it. */
export function checkWatch(facts: WatchFacts, names: Names): readonly WatchItem[] {
    const items = rules(facts, names).map(({ item, detail, finding, fix }): WatchItem => ({
        item,
        ok: finding === false,
        detail: finding === false ? detail : finding,
        hint: finding === false ? '' : fix
    }))
    const bounded = facts.keep !== '-1'
    const hint =
        "A slot whose sidecar never returns keeps WAL until the disk is full. The server's own bound: alter system set max_slot_wal_keep_size = '4GB'; select pg_reload_conf();"
    return [
        ...items,
        {
            item: 'bound without a sidecar',
            ok: true,
            detail: bounded ? facts.keep : 'none: max_slot_wal_keep_size is -1',
            hint: bounded ? '' : hint
        }
    ]
}
