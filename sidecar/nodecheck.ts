import { escapeIdentifier, escapeLiteral } from 'pg'
import { check, counted, isGrave, type Check } from './findings'
import type { Node } from './node'
import type { Examination } from './nodefacts'
import type { NodeAddress } from './nodeoptions'
import { checkSettings } from './nodesettings'

const INTERRUPTIBLE_CONNECT = 160000
const FULL = 0.8 // of the prepared slots
const AT_HOME = '/* at the coordinator */ '
const LOCAL = /^(localhost|127\..*|::1|\/.*|)$/
const UNPROTECTED = ['disable', 'allow', 'prefer']

type Visible = Pick<Node, 'address' | 'up' | 'fenceState'>

/** What a node must be and have: the one list, all of which check_node() shows, and doctor() what is wrong. `result` says why it was not reached. */
export function checkNode(node: Visible, result: string, coordinatorVersion: number, found: Examination | undefined): readonly Check[] {
    const seen =
        found === undefined
            ? []
            : [
                  primary(node.address, found),
                  ...slots(found),
                  owners(found),
                  squatters(found),
                  oneSession(node.address, found),
                  direct(node.address, found)
              ]
    return [
        reachable(node, result),
        fence(node),
        ...seen,
        ...(found === undefined ? [] : checkSettings(found)),
        connectTimeout(node.address, coordinatorVersion),
        tls(node.address)
    ]
}

/** A line of check_node()'s and add_node()'s answer: advice is a hint, and no reason not to be content. */
export const itemOf = (one: Check) => ({
    item: one.item,
    ok: !isGrave(one),
    detail: one.troubles.length === 0 ? one.detail : one.troubles.map(({ finding }) => finding).join('; '),
    hint: one.troubles.map(({ fix }) => fix).join(' ')
})

const isFenced = ({ up, fenceState }: Visible): boolean => !up && fenceState !== 'held' && fenceState !== 'not connected'

function reachable(node: Visible, result: string): Check {
    const why = 'its branches wait, with their locks, and sets that need it fail'
    return check(
        'node.unreachable',
        'reachable',
        node.address.uri,
        !node.up && !isFenced(node) && { finding: `cannot be reached: ${result}`, why, fix: wayThere(node.address, result) }
    )
}

function wayThere({ name }: NodeAddress, result: string): string {
    const server = escapeIdentifier(name)
    if (/foreign server .* does not exist|user mapping/.test(result)) return `${AT_HOME}select * from pglobalxact.doctor();`
    if (/password|SASL/.test(result))
        return `${AT_HOME}alter user mapping for pglobalxact server ${server} options (set password '…'); /* or, on the node: alter role … password '…'; */`
    if (/^role ".*" does not exist/.test(result))
        return `${AT_HOME}alter user mapping for pglobalxact server ${server} options (set user '…');`
    if (/^database ".*" does not exist/.test(result)) return `${AT_HOME}alter server ${server} options (set dbname '…');`
    if (/host name .* is not known/.test(result)) return `${AT_HOME}alter server ${server} options (set host '…');`
    return 'sudo systemctl start postgresql'
}

function fence(node: Visible): Check {
    const { fenceState } = node
    const pid = /: pid (\d+),/.exec(fenceState)?.[1]
    const why = 'only one sidecar of a coordinator may act at a node: this one waits, and branches there with it'
    const fix = /is a node already/.test(fenceState)
        ? `${AT_HOME}select pglobalxact.remove_node(${escapeLiteral(node.address.name)});`
        : pid === undefined
          ? "select pid, usename, application_name from pg_stat_activity where pid in (select pid from pg_locks where locktype = 'advisory');"
          : `select pg_terminate_backend(${pid}); /* once that sidecar is stopped, or known to be gone */`
    return check('node.fence', 'fence', fenceState, isFenced(node) && { finding: `fenced off: ${fenceState}`, why, fix })
}

function squatters({ squatters: found }: Examination): Check {
    return check(
        'node.fence_squatted',
        "strangers' locks",
        'none',
        ...found.map(({ pid, role }) => ({
            finding: `role "${role}", pid ${pid}, holds a lock of the fence`,
            why: 'it is passed over, but there are only four: with all taken, no branch here would be finished',
            fix: `select pg_terminate_backend(${pid});`
        }))
    )
}

function primary({ name }: NodeAddress, { standby, upstream }: Examination): Check {
    const [host, port] = [upstream?.host ?? '…', upstream?.port ?? '…']
    return check(
        'node.standby',
        'primary',
        'accepts writes',
        standby && {
            finding: 'the server is a standby',
            why: 'nothing can be written or prepared there',
            fix: `${AT_HOME}alter server ${escapeIdentifier(name)} options (set host ${escapeLiteral(host)}, set port ${escapeLiteral(port)});`
        }
    )
}

/** A restart is needed, and a standby with fewer than its primary stops replaying. */
const allow = (slots: number): string =>
    `alter system set max_prepared_transactions = ${slots}; /* then restart the server, and its standbys before it */`

function slots(found: Examination): readonly Check[] {
    const { slots: all, slots_used: used, connections } = found
    const use = `${used} of ${all} used`
    return [
        check(
            'node.slots_off',
            'prepared slots',
            use,
            all === 0 && {
                finding: 'prepared transactions are switched off',
                why: 'no set can commit on this node',
                fix: allow(connections)
            }
        ),
        check(
            'node.slots_short',
            'free slots',
            String(all - used),
            all > 0 &&
                used > all * FULL && {
                    finding: `prepared slots: ${use}`,
                    why: 'when all are used, COMMIT fails and everything is rolled back',
                    fix: allow(Math.max(connections, 2 * all))
                }
        ),
        check(
            'node.slots_few',
            'enough slots',
            `${all} for ${counted(connections, 'connection')}`,
            all > 0 &&
                all < connections && {
                    finding: `${counted(all, 'prepared slot')} for ${counted(connections, 'connection')}`,
                    why: 'as many sessions as may connect may prepare at once',
                    fix: allow(connections)
                }
        )
    ]
}

function owners({ login, superuser, members, strangers }: Examination): Check {
    const why = 'PostgreSQL lets only a member of the role that prepared a branch finish it'
    const mine = members.length > 0 || superuser
    return check(
        'node.owners',
        'finishes branches of',
        superuser ? 'any role (superuser: not needed)' : members.join(', '),
        ...strangers.map((role) => ({
            finding: `the sidecar's login "${login}" cannot finish branches of role "${role}"`,
            why,
            fix: `grant ${escapeIdentifier(role)} to ${escapeIdentifier(login)};`
        })),
        !mine &&
            strangers.length === 0 && {
                finding: `only "${login}" itself`,
                why,
                fix: `grant … to ${escapeIdentifier(login)}; /* each role that works here */`
            }
    )
}

const DIRECT = "the foreign server's host and port are to be the database's own"

function oneSession({ name }: NodeAddress, { fence: { kept }, server }: Examination): Check {
    return check(
        'node.pooler',
        'session',
        'keeps its locks',
        !kept && {
            finding: 'a transaction pooler stands between sidecar and node',
            why: `the fence is a session's lock, which it loses: two sidecars could act here. ${DIRECT}`,
            fix: `${AT_HOME}alter server ${escapeIdentifier(name)} options (set host ${escapeLiteral(server.host)}, set port ${escapeLiteral(server.port)});`
        }
    )
}

function direct({ name }: NodeAddress, { fence: { kept, masked }, server }: Examination): Check {
    return check(
        'node.in_between',
        'direct',
        'no pooler seen',
        kept &&
            masked && {
                finding: 'a pooler or proxy answers for the node',
                why: `harmless while it gives each client a session of its own. Better: ${DIRECT}`,
                fix: `${AT_HOME}alter server ${escapeIdentifier(name)} options (set host ${escapeLiteral(server.host)}, set port ${escapeLiteral(server.port)});`
            }
    )
}

/** Before PostgreSQL 16 dblink cannot be interrupted while it connects: a node cut off would hold sessions for minutes. */
function connectTimeout({ name, connectTimeout: there }: NodeAddress, coordinatorVersion: number): Check {
    return check(
        'node.connect_timeout',
        'connect timeout',
        there ? 'set' : 'none',
        !there &&
            coordinatorVersion < INTERRUPTIBLE_CONNECT && {
                finding: 'no connect_timeout',
                why: 'before PostgreSQL 16 a session that connects to a node cut off cannot be cancelled for minutes',
                fix: `${AT_HOME}alter server ${escapeIdentifier(name)} options (add connect_timeout '5');`
            }
    )
}

function tls({ name, hosts, sslmode }: NodeAddress): Check {
    const open = UNPROTECTED.includes(sslmode ?? 'prefer') && hosts.some((host) => !LOCAL.test(host))
    const verb = sslmode === undefined ? 'add' : 'set'
    return check(
        'node.tls',
        'encryption',
        sslmode ?? 'left to the server',
        open && {
            finding:
                sslmode === undefined ? 'no sslmode for a host that is not local' : `sslmode is ${sslmode} for a host that is not local`,
            why: 'SQL and data may cross the network in the clear; verify-full with sslrootcert is best',
            fix: `${AT_HOME}alter server ${escapeIdentifier(name)} options (${verb} sslmode 'require');`
        }
    )
}
