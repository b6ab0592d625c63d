/** What can be wrong on the coordinator, and how it comes about. */
import { expect } from 'chai'
import { addStandby } from '../../crash/support/standby'
import { addRow } from '../../sidecar/common'
import type { Cluster } from '../../support/cluster'
import { until } from '../../support/wait'
import type { World } from '../../support/world'
import type { Case } from './support'

const place = 'coordinator'
const setting =
    (name: string): Case['provoke'] =>
    (world) =>
        world.coordinator.reload({ [name]: 'off' })

let standby: Cluster | undefined
let set = ''

/** A complete set that is mixed, as after somebody typed ROLLBACK PREPARED by hand. */
async function mixedSet(world: World): Promise<void> {
    await world.sidecar!.stop()
    const client = await world.coordinator.connect(world.login('app'))
    await addRow(world, client, ['b'])
    await client.end()
    for (const gid of await world.prepared()) await world.node('b', `rollback prepared '${gid}'`)
    await world.startSidecar()
    await until('it is mixed', async () => (await world.sql("select from pglobalxact.sets() where outcome = 'mixed'")).length > 0)
}

export const SERVER: readonly Case[] = [
    { key: 'coordinator.fsync', title: 'fsync off', severity: 'error', place, finding: /^fsync = off$/, provoke: setting('fsync') },
    {
        key: 'coordinator.full_page_writes',
        title: 'full_page_writes off',
        severity: 'error',
        place,
        finding: /^full_page_writes = off$/,
        provoke: setting('full_page_writes')
    },
    {
        key: 'coordinator.synchronous_commit',
        title: 'off for the server',
        severity: 'advice',
        place,
        finding: /off for the server$/,
        provoke: setting('synchronous_commit')
    },
    {
        key: 'coordinator.synchronous_commit',
        title: 'off for a role',
        severity: 'advice',
        place,
        finding: /off for role app$/,
        provoke: (world) => world.sql('alter role app set synchronous_commit = off')
    },
    {
        key: 'coordinator.synchronous_commit',
        title: 'off for the database',
        severity: 'advice',
        place,
        finding: /off for database \w+$/,
        provoke: (world) => world.sql(`alter database "${world.database}" set synchronous_commit = off`)
    },
    {
        key: 'coordinator.synchronous_commit',
        title: 'off for a role in the database',
        severity: 'advice',
        place,
        finding: /off for role app in database/,
        provoke: (world) => world.sql(`alter role app in database "${world.database}" set synchronous_commit = off`)
    },
    {
        key: 'coordinator.asynchronous_standby',
        title: 'a standby that commits do not wait for',
        severity: 'warning',
        place,
        finding: /^standby "a-2" is replicated asynchronously$/,
        provoke: async (world) => {
            standby = await addStandby(world.coordinator, 'a-2')
            await until(
                'the sidecar acts again',
                async () => (await world.sql("select from pglobalxact.status() where sidecar = 'acting'")).length > 0
            )
        },
        afterwards: async (world) => {
            await until(
                'commits wait for it',
                async () => (await world.sql("select from pg_stat_replication where sync_state = 'quorum'")).length > 0
            )
            await world.sql('alter system reset synchronous_standby_names')
            await world.sql('select pg_reload_conf()')
            await standby!.destroy()
        }
    },
    {
        key: 'coordinator.foreign_prepared',
        title: "another manager's old transaction",
        severity: 'warning',
        place,
        finding: /^transaction "someone's" of another manager, role postgres in database \w+, is prepared for/,
        patience: '0',
        provoke: async (world) => {
            await world.sql(`begin; create table theirs (); prepare transaction 'someone''s'`)
        }
    }
]

export const INSTALLATION: readonly Case[] = [
    {
        key: 'coordinator.loopback',
        title: 'its server leads to another port',
        severity: 'error',
        place,
        finding: /^the loopback does not work: .*refused/,
        provoke: (world) => world.sql("alter server pglobalxact_loopback options (set port '1')")
    },
    {
        key: 'coordinator.loopback',
        title: 'its server leads to another database',
        severity: 'error',
        place,
        finding: /^foreign server pglobalxact_loopback leads to another database$/,
        provoke: (world) => world.sql("alter server pglobalxact_loopback options (set dbname 'postgres')")
    },
    {
        key: 'coordinator.loopback',
        title: 'its password was changed',
        severity: 'error',
        place,
        finding: /password authentication failed/,
        provoke: (world) =>
            world.sql(
                `do $$ begin execute format('alter role pglobalxact_loopback_%s password ''x''', (select id from pglobalxact.coordinator)); end $$`
            )
    },
    {
        key: 'coordinator.loopback',
        title: 'its server was dropped',
        severity: 'error',
        place,
        finding: /does not work/,
        provoke: (world) => world.sql('drop server pglobalxact_loopback cascade')
    },
    {
        key: 'coordinator.membership',
        title: 'pg_read_all_stats was revoked',
        severity: 'warning',
        place,
        finding: /^pglobalxact is not a member of pg_read_all_stats$/,
        provoke: (world) => world.sql('revoke pg_read_all_stats from pglobalxact')
    },
    {
        key: 'coordinator.membership',
        title: 'pg_signal_backend was revoked',
        severity: 'warning',
        place,
        finding: /^pglobalxact is not a member of pg_signal_backend$/,
        provoke: (world) => world.sql('revoke pg_signal_backend from pglobalxact')
    },
    {
        key: 'coordinator.membership',
        title: 'admins may not look any more',
        severity: 'warning',
        place,
        finding: /^pglobalxact_admin is not a member of pglobalxact_monitor$/,
        provoke: (world) => world.sql('revoke pglobalxact_monitor from pglobalxact_admin')
    },
    {
        key: 'coordinator.superuser',
        title: 'somebody made it one',
        severity: 'advice',
        place,
        finding: /superuser/,
        provoke: (world) => world.sql('alter role pglobalxact superuser')
    },
    {
        key: 'coordinator.owner',
        title: 'the schema was given away',
        severity: 'error',
        place,
        finding: /^schema pglobalxact belongs to postgres$/,
        // Without USAGE not even doctor() could run.
        provoke: (world) => world.sql('alter schema pglobalxact owner to postgres; grant usage on schema pglobalxact to pglobalxact')
    },
    {
        key: 'coordinator.owner',
        title: 'a table was given away',
        severity: 'error',
        place,
        finding: /^table pglobalxact.peer belongs to dba$/,
        provoke: (world) => world.sql('alter table pglobalxact.peer owner to dba')
    },
    {
        key: 'coordinator.owner',
        title: 'a function was given away',
        severity: 'error',
        place,
        finding: /^function pglobalxact\.recover\(\) belongs to dba$/,
        provoke: (world) => world.sql('alter function pglobalxact.recover() owner to dba')
    },
    ...(
        [
            ['schema pglobalxact', 'usage on schema pglobalxact'],
            ['table pglobalxact.forced', 'select on pglobalxact.forced'],
            ['sequence pglobalxact.request_id_seq', 'usage on sequence pglobalxact.request_id_seq'],
            ['function pglobalxact._purge(integer)', 'execute on function pglobalxact._purge'],
            ['foreign server pglobalxact_loopback', 'usage on foreign server pglobalxact_loopback']
        ] as const
    ).map(([what, right]): Case => ({
        key: 'coordinator.public',
        title: `${what} was opened`,
        severity: 'error',
        place,
        finding: new RegExp(`^${what.replace(/[()]/g, '\\$&')} is open to PUBLIC$`),
        provoke: (world) => world.sql(`grant ${right} to public`)
    })),
    {
        key: 'coordinator.role',
        title: 'one was dropped',
        severity: 'error',
        place,
        finding: /^role pglobalxact_user is missing$/,
        provoke: (world) => world.sql('drop owned by pglobalxact_user; drop role pglobalxact_user'),
        afterwards: (world) => world.sql('grant pglobalxact_user to app')
    },
    {
        key: 'coordinator.dblink',
        title: 'the extension was dropped, and every foreign server with it',
        severity: 'error',
        place,
        finding: /^extension dblink is missing$/,
        provoke: (world) => world.sql('drop extension dblink cascade'),
        afterwards: async (world) => {
            for (const name of world.nodes.keys()) await world.createServer(name)
        }
    }
]

export const BOOKS: readonly Case[] = [
    { key: 'coordinator.trouble', title: 'a mixed set', severity: 'error', place, finding: /^set \d+_\w{8} is mixed$/, provoke: mixedSet },
    {
        key: 'coordinator.doubt',
        title: 'a decided set whose node was down',
        severity: 'warning',
        place,
        finding: /^1 set\(s\) unfinished, the oldest, \d+_\w{8}, for \d\d:\d\d:\d\d \(b: .*\)$/,
        patience: '0',
        provoke: async (world) => {
            await world.sidecar!.stop()
            const client = await world.coordinator.connect(world.login('app'))
            await addRow(world, client, ['b'])
            await client.end()
            await world.nodes.get('b')!.query('alter role node_sidecar nologin')
            await world.startSidecar()
            await until(
                'it is tried',
                async () => (await world.sql('select from pglobalxact.sets() where last_error is not null')).length > 0
            )
        },
        cure: async (world, fix) => {
            await world.nodes.get('b')!.query('alter role node_sidecar login')
            await world.sql(fix)
        }
    },
    {
        key: 'coordinator.left_alone',
        title: 'a branch of no known transaction',
        severity: 'error',
        place,
        finding: /^branch pgx_\w{8}_9_00000000_1 is left alone on node b$/,
        patience: '0',
        provoke: async (world) => {
            const [own] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
            await world.node('b', `set role node_app; begin; create table orphan (); prepare transaction 'pgx_${own!.id}_9_00000000_1'`)
        },
        afterwards: (world) => until('it is rolled back', async () => (await world.prepared()).length === 0)
    },
    {
        key: 'coordinator.long_open',
        title: 'a set forgotten in an open window',
        severity: 'advice',
        place,
        finding: /^1 set\(s\) still open, the oldest, \d+_\w{8} of role app, for/,
        patience: '0',
        provoke: async (world) => {
            set = await world.transfer(await world.connect(), 1, ['b'])
        },
        afterwards: async (world) =>
            expect(await world.sql('select pglobalxact.outcome($1) as o', [set])).to.deep.equal([{ o: 'rolled back' }])
    },
    {
        key: 'coordinator.paused',
        title: 'somebody paused it',
        severity: 'warning',
        place,
        finding: /^no set may begin: paused by dba 00:00:0\d ago: moving$/,
        provoke: (world) =>
            world.sql("update pglobalxact.coordinator set paused_at = clock_timestamp(), paused_by = 'dba', pause_reason = 'moving'"),
        cure: async (world, fix) => {
            expect(fix).to.equal('select pglobalxact.resume();')
            const [there] = await world.sql("select from pg_proc where pronamespace = 'pglobalxact'::regnamespace and proname = 'resume'")
            await world.sql(there ? fix : 'update pglobalxact.coordinator set paused_at = null, paused_by = null, pause_reason = null')
        }
    },
    {
        key: 'coordinator.retention',
        title: 'commit records are soon forgotten',
        severity: 'warning',
        place,
        finding: /^commit records are kept for 01:00:00 only$/,
        provoke: (world) => world.sql("update pglobalxact.coordinator set retention = '1 hour'")
    },
    {
        key: 'coordinator.purge',
        title: 'old records are not deleted',
        severity: 'warning',
        place,
        finding: /^commit records complete since .* are not deleted$/,
        provoke: async (world) => {
            await world.sql(
                "set local session_replication_role = replica; insert into pglobalxact.commit_record (xid, nonce, application_name) values ('5', '00000000', '')"
            )
            await world.sql(
                "update pglobalxact.commit_record set complete_at = now() - interval '30 days', outcome = 'committed' where xid = '5'"
            )
        }
    },
    {
        key: 'coordinator.forced',
        title: 'an order that outlived its set',
        severity: 'advice',
        place,
        finding: /^the order to commit pgx_12345678_9_00000000_1 stands since/,
        provoke: (world) =>
            world.sql(`insert into pglobalxact.forced (gid, action, forced_by, forced_at, reason)
                values ('pgx_12345678_9_00000000_1', 'commit', 'dba', now() - interval '30 days', 'lost')`)
    }
]
