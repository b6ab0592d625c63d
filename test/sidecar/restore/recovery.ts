/** Point-in-time recovery of real servers: archived WAL, a base backup of the running server, and a target. */
import { chown, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { copyDataDir, ownedDir } from '../../support/datadir'
import { startCluster, type Cluster, type Settings } from '../../support/cluster'
import { until } from '../../support/wait'
import { serverAccount, workDir } from '../../support/workdir'

let count = 0

/** A server that archives its WAL, and its last base backup. */
export class Archived {
    private backup = ''

    private constructor(
        readonly cluster: Cluster,
        private readonly archive: string
    ) {}

    static async start(name: string): Promise<Archived> {
        const archive = await newArchive(name)
        return new Archived(await startCluster({ name, settings: settings(archive) }), archive)
    }

    /** A server that runs already: it is restarted. */
    static async over(cluster: Cluster): Promise<Archived> {
        const archive = await newArchive(cluster.name)
        await cluster.configure(settings(archive))
        return new Archived(cluster, archive)
    }

    /** While the server runs: its files change under the copy, and the WAL from the start of the backup on makes it whole. */
    async backUp(): Promise<void> {
        this.backup = join(workDir(), `backup-${++count}-${this.cluster.name}`)
        const old = this.cluster.versionNum < 150000
        const session = await this.cluster.connect()
        try {
            await session.query(old ? "select pg_start_backup('test', true, false)" : "select pg_backup_start('test', true)")
            await copyDataDir(this.cluster.dataDir, this.backup).catch(vanished)
            const stop = old ? 'pg_stop_backup(false, false)' : 'pg_backup_stop(false)'
            const { rows } = await session.query<{ labelfile: string }>(`select labelfile from ${stop}`)
            await this.put(this.backup, 'backup_label', rows[0]!.labelfile)
        } finally {
            await session.end()
        }
        for (const file of ['postmaster.pid', 'postmaster.opts']) await rm(join(this.backup, file), { force: true })
        for (const file of await readdir(join(this.backup, 'pg_wal')))
            if (/^[0-9A-F]{24}/.test(file)) await rm(join(this.backup, 'pg_wal', file))
    }

    /** All that the server has written up to now is in the archive. */
    async archived(): Promise<void> {
        const [{ file }] = (await this.cluster.query<{ file: string }>(
            'select pg_walfile_name(pg_switch_wal()) as file from pg_create_restore_point($1)',
            [`archived ${++count}`]
        )) as [{ file: string }]
        const done = 'select coalesce(last_archived_wal, $1) >= $2 as done from pg_stat_archiver'
        await until('the WAL is in the archive', async () => (await this.cluster.query<{ done: boolean }>(done, ['', file]))[0]!.done)
    }

    /** The server as it was at the restore point, in the old one's place, on a time line of its own. `timeline`: the one it was written on. */
    async restoreTo(point: string, timeline = '00000001'): Promise<void> {
        await this.cluster.stop('immediate')
        await this.cluster.restoreFrom(this.backup)
        await this.put(this.cluster.dataDir, 'recovery.signal', '')
        await this.cluster.configure({ recovery_target_name: point, recovery_target_timeline: `0x${timeline}` })
        await this.cluster.start()
        await until(
            'it is recovered',
            async () => (await this.cluster.query<{ r: boolean }>('select pg_is_in_recovery() as r'))[0]!.r === false
        )
    }

    async destroy(): Promise<void> {
        await this.cluster.destroy()
        await this.forget()
    }

    async forget(): Promise<void> {
        for (const directory of [this.archive, this.backup]) if (directory !== '') await rm(directory, { recursive: true, force: true })
    }

    private async put(directory: string, name: string, text: string): Promise<void> {
        const path = join(directory, name)
        await writeFile(path, text, { mode: 0o600 })
        const account = serverAccount()
        if (account) await chown(path, account.uid, account.gid)
    }
}

async function newArchive(name: string): Promise<string> {
    const archive = join(workDir(), `archive-${++count}-${name}`)
    await ownedDir(archive)
    return archive
}

const settings = (archive: string): Settings => ({
    wal_level: 'replica',
    archive_mode: 'on',
    archive_command: `test ! -f "${archive}/%f" && cp "%p" "${archive}/%f"`,
    restore_command: `cp "${archive}/%f" "%p"`,
    recovery_target_action: 'promote'
})

/** Files that went while they were copied are written again by recovery. */
function vanished(error: unknown): void {
    const lines = String((error as { stderr?: string }).stderr ?? error)
        .trim()
        .split('\n')
    if (!lines.every((line) => /No such file or directory$|replaced while being copied$/.test(line))) throw error
}
