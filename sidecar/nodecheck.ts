import type { Node } from './node'

/** One line of add_node's and check_node's answer: what was looked at, and the command that cures it. */
export interface Check {
    readonly item: string
    readonly ok: boolean
    readonly detail: string
    readonly hint: string
}

const OLDEST_SERVER = 140000
const INTERRUPTIBLE_CONNECT = 160000

/** What a node must be and have. `result` says why it was not reached. */
export async function checkNode(node: Node, result: string, coordinatorVersion: number): Promise<readonly Check[]> {
    const reachable = check(
        'reachable',
        node.up,
        node.up ? node.address.uri : result,
        'Check the options of the foreign server and of the user mapping for role pglobalxact, and USAGE on the server.'
    )
    if (!node.up) return [reachable]
    const facts = await node.memberships()
    const finishes = facts.superuser || facts.members.length > 0
    return [
        reachable,
        check('version', facts.version_num >= OLDEST_SERVER, facts.version, 'PostgreSQL 14 or later is needed.'),
        check(
            'primary',
            !facts.standby,
            facts.standby ? 'the server is a standby' : 'accepts writes',
            'Point the foreign server at the primary.'
        ),
        check(
            'prepared slots',
            facts.slots > 0,
            `${facts.slots_used} of ${facts.slots} used`,
            `On the node: ALTER SYSTEM SET max_prepared_transactions = ${facts.connections}; and restart it.`
        ),
        check('fence', node.fenceState === 'held', node.fenceState, 'Only one sidecar per coordinator acts at a node: see who holds it.'),
        check(
            'finishes branches of',
            finishes,
            facts.superuser ? 'any role (superuser: not needed)' : finishes ? facts.members.join(', ') : `only "${facts.login}" itself`,
            `On the node, for each role that works there: GRANT that_role TO "${facts.login}";`
        ),
        // dblink cannot be interrupted while it connects before PostgreSQL 16: a node cut off would hold sessions for minutes.
        check(
            'connect timeout',
            node.address.connectTimeout || coordinatorVersion >= INTERRUPTIBLE_CONNECT,
            node.address.connectTimeout ? 'set' : 'none',
            `ALTER SERVER "${node.address.name}" OPTIONS (ADD connect_timeout '5');`
        )
    ]
}

const check = (item: string, ok: boolean, detail: string, hint: string): Check => ({ item, ok, detail, hint: ok ? '' : hint })
