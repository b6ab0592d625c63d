/** What can be wrong on a node, and how it comes about. */
import { expect } from 'chai'
import { addStandby, inStep } from '../../crash/support/standby'
import { addRow } from '../../sidecar/common'
import { startCluster, type Cluster } from '../../support/cluster'
import { startPooler, type Pooler } from '../../support/pooler'
import { until } from '../../support/wait'
import { PASSWORDS, type World } from '../../support/world'
import type { Case } from './support'

const place = 'node b'
const b = (world: World): Cluster => world.nodes.get('b')!
const restart = async (world: World): Promise<void> => {
    await b(world).restart()
    await until(
        'node b is back',
        async () => (await world.sql("select from pglobalxact.nodes() where node = 'b' and reachable")).length > 0
    )
}
const options = (text: string) => (world: World) => world.sql(`alter server b options (${text})`)
const secret = (fix: string): string =>
    fix.replace("user '…'", "user 'node_sidecar'").replace(/password '…'/, `password '${PASSWORDS.node_sidecar}'`)
const program = (fix: string): string =>
    fix.replace("user '…'", "user 'node_app'").replace("password '…'", `password '${PASSWORDS.node_app}'`)

let other: Cluster | undefined
let pooler: Pooler | undefined

async function rival(world: World): Promise<void> {
    await world.sidecar!.stop()
    const [own] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
    const client = await b(world).connect({
        database: world.database,
        user: 'node_sidecar',
        password: PASSWORDS.node_sidecar,
        application_name: `pgx_${own!.id}_sidecar_elsewhere`
    })
    await client.query(`select pg_advisory_lock(x'70677835'::int, x'${own!.id}'::int)`)
    await world.startSidecar()
}

async function squatter(world: World): Promise<void> {
    const [own] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
    const client = await b(world).connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
    await client.query(`select pg_advisory_lock(x'70677845'::int, x'${own!.id}'::int)`)
}

const viaPooler = (mode: 'session' | 'transaction') => async (world: World) => {
    pooler = await startPooler(b(world).port, mode)
    await world.sql(`alter server b options (set port '${pooler.port}')`)
}
const closePooler = async (): Promise<void> => pooler?.close()

export const WAY: readonly Case[] = [
    {
        key: 'node.unreachable',
        title: 'its server is down',
        severity: 'error',
        place,
        finding: /^cannot be reached: connection refused by /,
        provoke: (world) => b(world).stop(),
        cure: async (world, fix) => {
            expect(fix).to.equal('sudo systemctl start postgresql')
            await b(world).start()
        }
    },
    {
        key: 'node.unreachable',
        title: "the sidecar's password is wrong",
        severity: 'error',
        place,
        finding: /^cannot be reached: password authentication failed/,
        provoke: (world) => world.sql(`alter user mapping for pglobalxact server b options (set password 'wrong')`),
        fill: (fix) => secret(fix.replace(/ \/\* or.*/, ''))
    },
    {
        key: 'node.unreachable',
        title: 'the database does not exist',
        severity: 'error',
        place,
        finding: /^cannot be reached: database "nowhere" does not exist/,
        provoke: options("set dbname 'nowhere'"),
        fill: (fix, world) => fix.replace('…', world.database)
    },
    {
        key: 'node.unreachable',
        title: 'the role does not exist',
        severity: 'error',
        place,
        finding: /^cannot be reached: (role "nobody" does not exist|password authentication failed for user "nobody")/,
        provoke: (world) => world.sql(`alter user mapping for pglobalxact server b options (set user 'nobody')`),
        cure: (world) => world.sql(`alter user mapping for pglobalxact server b options (set user 'node_sidecar')`)
    },
    {
        key: 'node.mapping',
        title: 'the sidecar has no user mapping',
        severity: 'error',
        place,
        finding: /^the sidecar's role pglobalxact has no user mapping for server b$/,
        provoke: (world) => world.sql('drop user mapping for pglobalxact server b'),
        fill: secret
    },
    {
        key: 'node.usage',
        title: 'the sidecar may not use the server',
        severity: 'error',
        place,
        finding: /^the sidecar's role pglobalxact may not use server b$/,
        provoke: (world) => world.sql('revoke usage on foreign server b from pglobalxact')
    },
    {
        key: 'node.program_mapping',
        title: 'a program has no user mapping',
        severity: 'advice',
        place,
        finding: /^role app has no user mapping for server b$/,
        provoke: (world) => world.sql('drop user mapping for app server b'),
        fill: program
    },
    {
        key: 'node.program_usage',
        title: 'a program may not use the server',
        severity: 'advice',
        place,
        finding: /^role app may not use server b$/,
        provoke: (world) => world.sql('revoke usage on foreign server b from app')
    },
    {
        key: 'node.tls',
        title: 'SQL may cross the network in the clear',
        severity: 'advice',
        place,
        finding: /^no sslmode for a host that is not local$/,
        provoke: options("set host 'node-b.invalid'"),
        afterwards: options("set host '127.0.0.1', drop sslmode")
    },
    {
        key: 'node.tls',
        title: 'sslmode does not insist',
        severity: 'advice',
        place,
        finding: /^sslmode is prefer for a host that is not local$/,
        provoke: options("set host 'node-b.invalid', add sslmode 'prefer'"),
        afterwards: options("set host '127.0.0.1', drop sslmode")
    },
    {
        key: 'node.pooler',
        title: 'a transaction pooler in the way',
        severity: 'error',
        place,
        finding: /^a transaction pooler stands between sidecar and node$/,
        provoke: viaPooler('transaction'),
        afterwards: closePooler
    },
    {
        key: 'node.in_between',
        title: 'a session pooler in the way',
        severity: 'advice',
        place,
        finding: /^a pooler or proxy answers for the node$/,
        provoke: viaPooler('session'),
        afterwards: closePooler
    },
    {
        key: 'node.fence',
        title: 'another sidecar holds it',
        severity: 'error',
        place,
        finding: /^fenced off: held by another sidecar.*pid \d+/,
        provoke: rival
    },
    {
        key: 'node.fence',
        title: 'the same database under another name',
        severity: 'error',
        place: 'node twice',
        finding: /^fenced off: this database is a node already/,
        provoke: async (world) => {
            await world.createServer('twice', b(world))
            await world.admin("select * from pglobalxact.add_node('twice')")
        }
    },
    {
        key: 'node.fence_squatted',
        title: 'a stranger sits on its lock',
        severity: 'warning',
        place,
        finding: /^role "node_app", pid \d+, holds/,
        provoke: squatter
    },
    {
        key: 'node.server',
        title: 'its foreign server was dropped',
        severity: 'error',
        place: 'node gone',
        finding: /^foreign server gone does not exist$/,
        provoke: async (world) => {
            await world.createServer('gone', b(world), 'postgres')
            await world.admin("select * from pglobalxact.add_node('gone')")
            await world.sql('drop server gone cascade')
        }
    }
]

const loseB = async (world: World): Promise<void> => {
    await b(world).stop()
    await until(
        'it is away',
        async () => (await world.sql("select from pglobalxact.nodes() where node = 'b' and not reachable")).length > 0
    )
    await world.sql("select * from pglobalxact.lose_node('b', 'flooded', confirm => 'yes')")
}
const isBack = async (world: World): Promise<void> => {
    await b(world).start()
    await until('it is back', async () => (await world.sql("select from pglobalxact.nodes() where node = 'b' and reachable")).length > 0)
}

export const LOST: readonly Case[] = [
    {
        key: 'node.lost',
        title: 'it was declared lost',
        severity: 'advice',
        place,
        finding: /^declared lost by postgres at .*: flooded$/,
        provoke: loseB,
        afterwards: async (world) => {
            await b(world).start()
            await world.sql("select * from pglobalxact.add_node('b')")
        }
    },
    {
        key: 'node.found',
        title: 'it was declared lost, and is back',
        severity: 'warning',
        place,
        finding: /^declared lost by postgres, and back$/,
        provoke: async (world) => {
            await loseB(world)
            await isBack(world)
        }
    }
]

export const SETTINGS: readonly Case[] = [
    {
        key: 'node.standby',
        title: 'it is a standby',
        severity: 'error',
        place,
        finding: /^the server is a standby$/,
        provoke: async (world) => {
            await b(world).stop()
            other = await startCluster({ name: 'b2', copyOf: b(world), standby: true })
            await b(world).start()
            await world.sql(`alter server b options (set port '${other.port}')`)
        },
        fill: (fix, world) => fix.replace("host '…'", "host '127.0.0.1'").replace("port '…'", `port '${b(world).port}'`),
        afterwards: () => other!.destroy()
    },
    {
        key: 'node.slots_off',
        title: 'prepared transactions are switched off',
        severity: 'error',
        place,
        finding: /switched off$/,
        provoke: (world) => b(world).configure({ max_prepared_transactions: 0 }),
        afterwards: restart
    },
    {
        key: 'node.slots_few',
        title: 'fewer slots than sessions',
        severity: 'advice',
        place,
        finding: /^20 prepared slots for 200 connections$/,
        provoke: async (world) => {
            await world.node('b', 'alter system reset max_prepared_transactions')
            await b(world).configure({ max_prepared_transactions: 20 })
        },
        afterwards: restart
    },
    {
        key: 'node.slots_short',
        title: 'nearly all slots are used',
        severity: 'warning',
        place,
        finding: /^prepared slots: 2 of 2 used$/,
        provoke: async (world) => {
            await world.node('b', 'alter system reset max_prepared_transactions')
            await b(world).configure({ max_prepared_transactions: 2 })
            for (const n of [1, 2]) await world.node('b', `begin; create table filler${n} (); prepare transaction 'filler${n}'`)
        },
        afterwards: async (world) => {
            await restart(world)
            for (const n of [1, 2]) await world.node('b', `rollback prepared 'filler${n}'`)
        }
    },
    {
        key: 'node.foreign_prepared',
        title: "another manager's old transaction",
        severity: 'warning',
        place,
        finding: /^transaction "their-own" of another manager, role "postgres", is prepared for/,
        patience: '0',
        provoke: (world) => world.node('b', `begin; create table theirs (); prepare transaction 'their-own'`)
    },
    {
        key: 'node.owners',
        title: 'a role whose branches it cannot finish',
        severity: 'error',
        place,
        finding: /^the sidecar's login "node_sidecar" cannot finish branches of role "node_app"$/,
        provoke: async (world) => {
            const client = await world.connect()
            await addRow(world, client, ['b'])
            await client.query('select pglobalxact.await()')
            await world.node('b', 'revoke node_app from node_sidecar')
        }
    },
    {
        key: 'node.careless',
        title: 'fsync off',
        severity: 'error',
        place,
        finding: /^fsync = off$/,
        provoke: (world) => b(world).reload({ fsync: 'off' })
    },
    {
        key: 'node.careless',
        title: 'full_page_writes off',
        severity: 'error',
        place,
        finding: /^full_page_writes = off$/,
        provoke: (world) => b(world).reload({ full_page_writes: 'off' })
    },
    {
        key: 'node.deadline',
        title: 'idle transactions are ended, of everyone',
        severity: 'advice',
        place,
        finding: /^idle_in_transaction_session_timeout = 60000ms for everyone$/,
        provoke: (world) => b(world).reload({ idle_in_transaction_session_timeout: '60s' }),
        afterwards: async (world) => {
            await b(world).reload({ idle_in_transaction_session_timeout: null })
            await world.node('b', `alter database "${world.database}" reset idle_in_transaction_session_timeout`)
        }
    },
    {
        key: 'node.deadline',
        title: "a program's sessions are ended",
        severity: 'advice',
        place,
        finding: /^idle_session_timeout = 1min for role node_app$/,
        provoke: (world) => world.node('b', "alter role node_app set idle_session_timeout = '1min'")
    },
    {
        key: 'node.asynchronous_standby',
        title: 'a standby that commits do not wait for',
        severity: 'warning',
        place,
        finding: /^standby b2 is replicated asynchronously$/,
        provoke: async (world) => {
            other = await addStandby(b(world), 'b2')
            await inStep(b(world))
        },
        afterwards: async (world) => {
            await until(
                'commits wait',
                async () => (await world.node('b', "select from pg_stat_replication where sync_state = 'quorum'")).length > 0
            )
            await world.node('b', 'alter system reset synchronous_standby_names')
            await world.node('b', 'select pg_reload_conf()')
            await other!.destroy()
        }
    }
]
