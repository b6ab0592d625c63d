import { Client } from 'pg'
import type { Catalog } from './catalog'
import type { Config } from './config'
import type { ConnectionConfig } from './connection'
import { checkDirectory } from './directorycheck'
import type { Doorbell } from './doorbell'
import { check, shellWord, skewOf, type Check } from './findings'
import { NEWEST_MIGRATION } from './install'
import { proveSession, type FenceSession } from './nodefacts'
import type { Keeper } from './recovery'
import { destroy } from './session'
import { messageOf } from './sqlstate'
import type { StateFile } from './statefile'
import type { WatchSet } from './watch/watchset'

const MANY_WAITING = 1000 // branches that wait for a connection to a node that answers
const ECHO = 2000 // ms

export interface Patient {
    readonly config: Config
    readonly connection: ConnectionConfig
    readonly uid: number
    readonly catalog: Catalog
    readonly doorbell: Doorbell
    readonly state: StateFile
    readonly keepers: ReadonlyMap<number, Keeper>
    readonly watches: WatchSet
    readonly waiting: number
    readonly coordinatorVersion: number
}

/** What is to be known of the sidecar itself: its version, its directory (directorycheck.ts), its sessions at the coordinator. */
export async function checkSidecar(patient: Patient, schema: number): Promise<readonly Check[]> {
    const [directory, session, doorbell] = await Promise.all([
        checkDirectory(patient),
        checkSession(patient),
        patient.doorbell.answers(ECHO)
    ])
    return [checkVersion(schema, patient.config), ...directory, ...session, checkDoorbell(doorbell), checkBacklog(patient)]
}

/** As it was started, without the password: that is in the environment, or in a file. */
function restart(config: Config, more: string, url = withoutPassword(config.databaseUrl)): string {
    const database = url === '' ? '' : ` --database-url ${shellWord(url)}`
    return `npx pglobalxact run --state-dir ${shellWord(config.stateDir)}${database}${more}`
}

function withoutPassword(databaseUrl: string): string {
    if (!URL.canParse(databaseUrl)) return ''
    const url = new URL(databaseUrl)
    url.password = ''
    url.searchParams.delete('password')
    return url.href
}

function checkVersion(schema: number, config: Config): Check {
    const newer = schema > NEWEST_MIGRATION
    return check(
        'sidecar.version',
        'version',
        String(schema),
        schema !== NEWEST_MIGRATION && {
            finding: `the schema is at version ${schema}, the sidecar at ${NEWEST_MIGRATION}`,
            why: 'it was installed while this sidecar ran: what they ask of each other differs',
            fix: newer ? `npm install pglobalxact@latest && ${restart(config, '')}` : 'npx pglobalxact install'
        }
    )
}

/** The main connection holds the lock of the acting sidecar: it must be one session, and the very one it seems. */
async function checkSession({ connection, catalog, config }: Patient): Promise<readonly Check[]> {
    const rival = new Client({ ...connection, application_name: 'pglobalxact sidecar (doctor)' })
    rival.on('error', () => undefined)
    try {
        await rival.connect()
    } catch (error) {
        destroy(rival)
        return [checkConnecting(messageOf(error))]
    }
    try {
        const asked = Date.now()
        const { rows } = await rival.query<Outlook>(OUTLOOK)
        const answered = Date.now()
        const seen = rows[0]!
        const proof = await proveSession(() => catalog.holdsActing(), catalog.loginPid, rival)
        return [
            checkConnecting(undefined),
            ...judgeSession(proof, seen, config),
            checkClock(skewOf(seen.clock, asked, answered)),
            checkDeadlines(seen)
        ]
    } finally {
        await rival.end().catch(() => destroy(rival))
    }
}

const checkConnecting = (problem: string | undefined): Check =>
    check(
        'sidecar.cannot_connect',
        'new sessions',
        'work',
        problem !== undefined && {
            finding: `the sidecar cannot open another session at the coordinator: ${problem}`,
            why: 'once it loses the ones it has, it cannot act',
            fix: /for role/.test(problem) ? 'alter role pglobalxact connection limit -1;' : 'select * from pglobalxact.status();'
        }
    )

interface Outlook {
    readonly login: string
    readonly clock: number
    readonly deadlines: readonly string[]
    readonly host: string | null
    readonly port: string
    readonly database: string
}

const OUTLOOK =
    "select session_user::text as login, extract(epoch from clock_timestamp())::float8 * 1000 as clock, host(inet_server_addr()) as host, current_setting('port') as port, current_database() as database, (select coalesce(array_agg(s.name::text order by s.name), '{}') from pg_catalog.pg_settings s where s.name in ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout') and s.setting <> '0') as deadlines"

function judgeSession({ kept, masked }: FenceSession, { login, host, port, database }: Outlook, config: Config): readonly Check[] {
    const url = `postgresql://${encodeURIComponent(login)}@${host ?? '127.0.0.1'}:${port}/${encodeURIComponent(database)}`
    const fix = restart(config, '', url)
    return [
        check(
            'sidecar.pooler',
            'session',
            'keeps its locks',
            !kept && {
                finding: 'a transaction pooler stands between sidecar and coordinator',
                why: 'the lock of the acting sidecar, and LISTEN, belong to a session, which it loses: two sidecars could act',
                fix
            }
        ),
        check(
            'sidecar.in_between',
            'direct',
            'no pooler seen',
            kept &&
                masked && {
                    finding: 'a pooler or proxy answers for the coordinator',
                    why: 'harmless while it gives each client a session of its own; better to connect to the server itself',
                    fix
                }
        )
    ]
}

const checkClock = (skew: number | undefined): Check =>
    check(
        'sidecar.clock',
        'clock',
        'agrees',
        skew !== undefined && {
            finding: `its clock is ${Math.abs(skew)} s ${skew > 0 ? 'behind' : 'ahead of'} the coordinator's`,
            why: 'nothing is decided by clocks, but state files and logs do not fit what the coordinator shows',
            fix: 'sudo timedatectl set-ntp true'
        }
    )

const checkDeadlines = ({ login, deadlines }: Outlook): Check =>
    check(
        'sidecar.deadline',
        'session deadlines',
        'none',
        ...deadlines.map((name) => ({
            finding: `${name} ends the sidecar's own sessions at the coordinator`,
            why: 'it connects anew each time, and is deaf meanwhile',
            fix: `alter role "${login.replaceAll('"', '""')}" set ${name} = 0;`
        }))
    )

const checkDoorbell = (answers: boolean): Check =>
    check(
        'sidecar.doorbell',
        'doorbell',
        'answers',
        !answers && {
            finding: 'the doorbell does not answer',
            why: 'new sets and requests are found by the slow look only: LISTEN is lost, as behind a pooler',
            fix: "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pglobalxact sidecar (doorbell)' and datname = current_database(); /* it listens anew */"
        }
    )

const checkBacklog = ({ waiting, config }: Patient): Check =>
    check(
        'sidecar.backlog',
        'backlog',
        String(waiting),
        waiting > MANY_WAITING && {
            finding: `more than ${MANY_WAITING} branches wait for a connection to a node that answers`,
            why: 'sets are decided faster than a node finishes them',
            fix: restart(config, ` --connections-per-node ${Math.min(64, 4 * config.connectionsPerNode)}`)
        }
    )
