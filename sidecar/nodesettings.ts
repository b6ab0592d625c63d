import { escapeIdentifier, escapeLiteral } from 'pg'
import { check, skewOf, type Check } from './findings'
import type { Examination } from './nodefacts'

const OLDEST_SERVER = 140000
const NEWEST_SERVER = 189999

/** Of checkNode(): what the node's server is and how it is set. */
export const checkSettings = (found: Examination): readonly Check[] => [
    version(found),
    careless(found),
    standbys(found),
    foreignPrepared(found),
    deadlines(found),
    walKept(found),
    clock(found),
    watchful(found)
]

function version({ version_num, version: name }: Examination): Check {
    const known = version_num >= OLDEST_SERVER && version_num <= NEWEST_SERVER
    return check(
        'node.version',
        'version',
        name,
        !known && {
            finding: `the server is PostgreSQL ${name}`,
            why: 'pglobalxact is made and tested for 14 to 18',
            fix: 'npm install pglobalxact@latest'
        }
    )
}

function careless({ careless: off }: Examination): Check {
    return check(
        'node.careless',
        'durability',
        'fsync and full_page_writes are on',
        ...off.map((name) => ({
            finding: `${name} = off`,
            why: 'a crash of its host could lose branches that were prepared or committed',
            fix: `alter system set ${name} = on; select pg_reload_conf();`
        }))
    )
}

function standbys({ standbys: names, synchronous }: Examination): Check {
    const list = names.join(', ')
    return check(
        'node.asynchronous_standby',
        'standbys',
        names.length === 0 ? 'none' : list,
        names.length > 0 &&
            synchronous === '' && {
                finding: `standby ${list} is replicated asynchronously`,
                why: 'a failover to it can lose branches that were prepared or committed; it needs as many max_prepared_transactions',
                fix: `alter system set synchronous_standby_names = ${escapeLiteral(`ANY 1 (${list})`)}; select pg_reload_conf();`
            }
    )
}

function foreignPrepared({ foreign_prepared: old }: Examination): Check {
    return check(
        'node.foreign_prepared',
        "others' prepared",
        'none that is old',
        ...old.map(({ gid, owner, database, age }) => ({
            finding: `transaction "${gid}" of another manager, role ${escapeIdentifier(owner)}, is prepared for ${age}`,
            why: 'it takes a slot, keeps its locks and holds vacuum back; end it if its manager has forgotten it',
            fix: `rollback prepared ${escapeLiteral(gid)}; /* in database ${escapeIdentifier(database)} */`
        }))
    )
}

function walKept({ wal_kept: slots }: Examination): Check {
    return check(
        'node.wal_kept',
        'WAL kept',
        'no unused slot keeps much',
        ...slots.map(({ slot, kept }) => ({
            finding: `replication slot ${escapeIdentifier(slot)} is unused and keeps ${kept} of WAL`,
            why: 'nothing bounds it (max_slot_wal_keep_size = -1): when the disk is full, branches can neither be prepared nor finished',
            fix: `select pg_drop_replication_slot(${escapeLiteral(slot)}); /* unless its standby or subscriber comes back */`
        }))
    )
}

function deadlines({ deadlines: set }: Examination): Check {
    return check(
        'node.deadline',
        'session deadlines',
        'none',
        ...set.map(({ setting, value, whom, cure }) => ({
            finding: `${setting} = ${value} for ${whom}`,
            why: 'it ends the open branch of a program that works elsewhere meanwhile: its set then fails',
            fix: cure
        }))
    )
}

function clock({ clock: theirs, asked, answered }: Examination): Check {
    const skew = skewOf(theirs, asked, answered)
    return check(
        'node.clock',
        'clock',
        'agrees',
        skew !== undefined && {
            finding: `its clock is ${Math.abs(skew)} s ${skew > 0 ? 'ahead of' : 'behind'} the sidecar's`,
            why: 'nothing is decided by clocks, but ages and logs of the hosts do not fit together',
            fix: 'sudo timedatectl set-ntp true'
        }
    )
}

function watchful({ watchful: interval }: Examination): Check {
    return check(
        'node.watchful',
        'notices lost clients',
        interval,
        interval === '0' && {
            finding: 'client_connection_check_interval cannot be set here',
            why: 'a branch whose program is gone is noticed only when its statement ends, and the fence only by keepalives',
            fix: "alter system set client_connection_check_interval = '2s'; select pg_reload_conf();"
        }
    )
}
