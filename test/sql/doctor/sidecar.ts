/** What can be wrong with the sidecar, and how it comes about. */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { SmallDisk } from '../../crash/support/mounts'
import { addRow, newStateDir } from '../../sidecar/common'
import { startPooler, type Pooler } from '../../support/pooler'
import { startSidecar } from '../../support/process'
import { until } from '../../support/wait'
import { workDir } from '../../support/workdir'
import type { World } from '../../support/world'
import { pasteStart, type Case } from './support'

const place = 'sidecar'
let disk: SmallDisk | undefined
let pooler: Pooler | undefined
let stopped = 0

const again = async (world: World): Promise<void> => {
    await world.sidecar?.stop()
    await world.startSidecar()
}

async function viaPooler(world: World, mode: 'session' | 'transaction'): Promise<void> {
    pooler = await startPooler(world.coordinator.port, mode)
    await world.sidecar!.stop()
    world.sidecar = startSidecar({
        stateDir: world.stateDir,
        databaseUrl: world.sidecarUrl.replace(`:${world.coordinator.port}/`, `:${pooler.port}/`)
    })
    await world.sidecar.waitForLog(/ acting /)
}

/** The command starts it with a direct connection. */
async function startDirectly(world: World, fix: string): Promise<void> {
    await pooler!.close()
    await world.sidecar!.stop()
    await pasteStart(world, fix)
}

/** A sidecar whose clock is 10 s ahead: what the process takes for the time is shifted, as a host's wrong clock would. */
async function wrongClock(world: World): Promise<void> {
    const shim = join(workDir(), 'clock.js')
    writeFileSync(shim, 'const now = Date.now; Date.now = () => now() + 10000')
    await world.sidecar!.stop()
    world.sidecar = startSidecar({ stateDir: world.stateDir, databaseUrl: world.sidecarUrl, env: { NODE_OPTIONS: `--require ${shim}` } })
    await world.sidecar.waitForLog(/ acting /)
}

const CLOCK = {
    severity: 'warning',
    provoke: wrongClock,
    cure: async (world: World, fix: string) => {
        expect(fix).to.equal('sudo timedatectl set-ntp true')
        await again(world)
    }
} as const

async function onDisk(world: World, kilobytes: number): Promise<void> {
    await world.sidecar!.stop()
    disk = SmallDisk.under(world.stateDir, kilobytes)
    await world.startSidecar()
}

async function offDisk(world: World): Promise<void> {
    await world.sidecar!.stop()
    execFileSync('cp', ['-p', join(world.stateDir, 'home'), join(workDir(), 'home')])
    disk!.unmount()
    execFileSync('cp', ['-p', join(workDir(), 'home'), join(world.stateDir, 'home')])
    await world.startSidecar()
}

export const PROCESS: readonly Case[] = [
    {
        key: 'sidecar.not_running',
        title: 'it was stopped',
        severity: 'error',
        place,
        finding: /^no sidecar is running$/,
        provoke: (world) => world.sidecar!.stop(),
        cure: pasteStart
    },
    {
        key: 'sidecar.not_asked',
        title: 'nor were the nodes',
        severity: 'warning',
        place,
        finding: /^the sidecar and the nodes could not be asked/,
        provoke: (world) => world.sidecar!.stop(),
        cure: async (world, fix) => {
            await world.startSidecar()
            await world.sql(fix)
        }
    },
    {
        key: 'sidecar.silent',
        title: 'it stands still',
        severity: 'error',
        place,
        finding: /^the sidecar \(host \S+, pid \d+\) has said nothing for 00:01:0\d$/,
        provoke: async (world) => {
            world.sidecar!.pause()
            await world.sql("update pglobalxact.sidecar set seen_at = seen_at - interval '1 minute'")
        },
        cure: pasteStart
    },
    {
        key: 'sidecar.not_allowed',
        title: 'its state directory is new',
        severity: 'error',
        place,
        finding: /^the sidecar on host \S+ waits: its home \w{16} is not allowed here$/,
        provoke: async (world) => {
            await world.sidecar!.stop()
            Object.assign(world, { stateDir: newStateDir() })
            world.sidecar = startSidecar({ stateDir: world.stateDir, databaseUrl: world.sidecarUrl })
            await world.sidecar.waitForLog(/is not allowed to act/)
        },
        afterwards: (world) => world.sidecar!.waitForLog(/ acting /)
    },
    {
        key: 'sidecar.home',
        title: 'its home was taken off the list',
        severity: 'error',
        place,
        finding: /^the acting home \w{16} is not among the allowed ones$/,
        provoke: (world) => world.sql('delete from pglobalxact.home h using pglobalxact.sidecar s where s.home = h.id')
    },
    {
        key: 'sidecar.version',
        title: 'the schema was upgraded under it',
        severity: 'error',
        place,
        finding: /^the schema is at version 99, the sidecar at \d+$/,
        provoke: (world) => world.sql("insert into pglobalxact.migrations (id, name, hash) values (99, 'later', '')"),
        // No later version exists to be installed.
        cure: (world, fix) => {
            expect(fix).to.match(/^npm install pglobalxact@latest && npx pglobalxact run --state-dir /)
            return world.sql('delete from pglobalxact.migrations where id = 99')
        }
    },
    {
        key: 'sidecar.clock',
        title: "the host's clock is wrong",
        place,
        finding: /^its clock is (9\.\d|10(\.\d)?) s ahead of the coordinator's$/,
        ...CLOCK
    },
    {
        key: 'node.clock',
        title: 'their clocks differ',
        place: 'node b',
        finding: /^its clock is (9\.\d|10(\.\d)?) s behind the sidecar's$/,
        ...CLOCK
    }
]

/** Decided sets by the thousand, and a node that takes its time. */
async function backlog(world: World): Promise<void> {
    world.proxies.get('b')!.delay(300)
    await world.sql(`set session_replication_role = replica;
        insert into pglobalxact.commit_record (xid, nonce, application_name) select (1000000 + i)::text::xid8, '00000000', '' from generate_series(1, 8000) i;
        insert into pglobalxact.branch_record (xid, nonce, node, kind, branch_xid, timeline, owner)
        select r.xid, r.nonce, 1, 'exec', '3', '00000001', 'node_app' from pglobalxact.commit_record r where r.xid > '1000000';
        notify pglobalxact`)
}

export const BACKLOG: Case = {
    key: 'sidecar.backlog',
    title: 'a node is slower than the load',
    severity: 'warning',
    place,
    finding: /^more than 1000 branches wait for a connection to a node that answers$/,
    provoke: backlog,
    cure: async (world, fix) => {
        expect(fix).to.match(/ --connections-per-node 64$/)
        world.proxies.get('b')!.delay(0)
        await world.sidecar!.stop()
        await pasteStart(world, fix)
    },
    afterwards: async (world) => {
        await until(
            'all are looked up',
            async () => (await world.sql('select from pglobalxact.commit_record where complete_at is null')).length === 0,
            { timeoutMs: 40_000 }
        )
        await world.sql(
            "delete from pglobalxact.branch_record where xid > '1000000'; delete from pglobalxact.commit_record where xid > '1000000'"
        )
    }
}

export const SESSIONS: readonly Case[] = [
    {
        key: 'sidecar.pooler',
        title: 'a transaction pooler in the way',
        severity: 'error',
        place,
        finding: /^a transaction pooler stands between sidecar and coordinator$/,
        provoke: (world) => viaPooler(world, 'transaction'),
        cure: startDirectly
    },
    {
        key: 'sidecar.in_between',
        title: 'a session pooler in the way',
        severity: 'advice',
        place,
        finding: /^a pooler or proxy answers for the coordinator$/,
        provoke: (world) => viaPooler(world, 'session'),
        cure: startDirectly
    },
    {
        key: 'sidecar.doorbell',
        title: 'the session that listens stands still',
        severity: 'warning',
        place,
        finding: /^the doorbell does not answer$/,
        provoke: async (world) => {
            await again(world)
            const [bell] = await world.sql<{ pid: number }>(
                "select pid from pg_stat_activity where application_name = 'pglobalxact sidecar (doorbell)' and datname = current_database()"
            )
            stopped = bell!.pid
            process.kill(stopped, 'SIGSTOP')
        },
        cure: async (world, fix) => {
            await world.sql(fix)
            // The signal waits for the process to move.
            process.kill(stopped, 'SIGCONT')
        }
    },
    {
        key: 'sidecar.deadline',
        title: 'its sessions are ended when idle',
        severity: 'warning',
        place,
        finding: /^idle_session_timeout ends the sidecar's own sessions at the coordinator$/,
        provoke: (world) => world.sql("alter role pglobalxact set idle_session_timeout = '1h'")
    },
    {
        key: 'sidecar.cannot_connect',
        title: 'its role may have no more sessions',
        severity: 'error',
        place,
        finding: /^the sidecar cannot open another session at the coordinator: too many connections for role "pglobalxact"$/,
        provoke: (world) => world.sql('alter role pglobalxact connection limit 1')
    }
]

export const DIRECTORY: readonly Case[] = [
    {
        key: 'sidecar.directory_open',
        title: 'the directory was opened to others',
        severity: 'error',
        place,
        finding: /is open to other users \(mode 755\)$/,
        provoke: async (world) => chmodSync(world.stateDir, 0o755)
    },
    {
        key: 'sidecar.directory_open',
        title: 'a file was opened to others',
        severity: 'error',
        place,
        finding: /home is open to other users \(mode 644\)$/,
        provoke: async (world) => chmodSync(join(world.stateDir, 'home'), 0o644)
    },
    {
        key: 'sidecar.file_owner',
        title: 'a file was given away',
        severity: 'error',
        place,
        finding: /home belongs to uid 65534, the sidecar is uid \d+$/,
        provoke: async (world) => chownSync(join(world.stateDir, 'home'), 65534, 65534)
    }
]

export const DISK: readonly Case[] = [
    {
        key: 'sidecar.not_durable',
        title: 'it is on a tmpfs',
        severity: 'advice',
        place,
        finding: / is on tmpfs$/,
        provoke: (world) => onDisk(world, 200_000),
        cure: async (world, fix) => {
            expect(fix).to.match(/^install -d -m 0700 \/var\/lib\/pglobalxact && cp -a \S+\/home/)
            await offDisk(world)
        }
    },
    {
        key: 'sidecar.disk_space',
        title: 'its disk is nearly full',
        severity: 'warning',
        place,
        finding: /^\d+ MB free on the disk of /,
        provoke: (world) => onDisk(world, 5000),
        cure: async (world, fix) => {
            expect(fix).to.match(/^find \$\(df --output=target \S+ \| tail -n 1\) -xdev/)
            execFileSync('sh', ['-c', fix])
            await offDisk(world)
        }
    },
    {
        key: 'sidecar.cannot_write',
        title: 'its disk has become read-only',
        severity: 'error',
        place,
        finding: /^state files cannot be written: EROFS/,
        provoke: async (world) => {
            await onDisk(world, 200_000)
            disk!.readOnly()
            const client = await world.coordinator.connect(world.login('app'))
            await addRow(world, client, ['b'])
            await client.end()
        },
        afterwards: async (world) => {
            await until('the set is finished', async () => (await world.prepared()).length === 0)
            await offDisk(world)
        }
    }
]
