import { lstat, readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from './config'
import { check, shellWord, type Check } from './findings'
import type { StateFile } from './statefile'

const LEAST_FREE_SHARE = 0.05
const LEAST_FREE_BYTES = 100 * 1024 * 1024
const GONE_WITH_POWER: ReadonlyMap<number, string> = new Map([
    [0x01021994, 'tmpfs'],
    [0x858458f6, 'ramfs'],
    [0x794c7630, 'overlayfs']
])

interface Housed {
    readonly config: Config
    readonly uid: number
    readonly state: Pick<StateFile, 'problem'>
}

/** What is to be known of the state directory: whose it is, whether it can be written, and whether it lasts. */
export async function checkDirectory(housed: Housed): Promise<readonly Check[]> {
    const [files, space] = await Promise.all([checkFiles(housed), checkSpace(housed)])
    return [...files, ...space]
}

async function checkFiles({ config, uid, state }: Housed): Promise<readonly Check[]> {
    const names = ['.', ...(await readdir(config.stateDir).catch(() => []))]
    const files = await Promise.all(
        names.map(async (name) => ({
            path: join(config.stateDir, name),
            stat: await lstat(join(config.stateDir, name)).catch(() => undefined)
        }))
    )
    const open = files.filter(({ stat }) => stat !== undefined && !stat.isSocket() && (stat.mode & 0o077) !== 0)
    const foreign = files.filter(({ stat }) => stat !== undefined && stat.uid !== uid)
    return [
        check(
            'sidecar.directory_open',
            'permissions',
            '0700',
            ...open.map(({ path, stat }) => ({
                finding: `${path} is open to other users (mode ${(stat!.mode & 0o777).toString(8)})`,
                why: 'who writes there could make up decisions; the sidecar would not start again',
                fix: `chmod go-rwx ${shellWord(path)}`
            }))
        ),
        check(
            'sidecar.file_owner',
            'owner',
            String(uid),
            ...foreign.map(({ path, stat }) => ({
                finding: `${path} belongs to uid ${stat!.uid}, the sidecar is uid ${uid}`,
                why: 'its owner could change it, and after a restart the sidecar could not read it',
                fix: `chown ${uid} ${shellWord(path)}`
            }))
        ),
        check(
            'sidecar.cannot_write',
            'writing',
            'works',
            state.problem !== undefined && {
                finding: state.problem,
                why: 'decided sets wait until it can, with their locks; no COMMIT does',
                fix: writable(state.problem, config.stateDir)
            }
        )
    ]
}

const whatFills = (directory: string): string =>
    `find $(df --output=target ${shellWord(directory)} | tail -n 1) -xdev -type f -size +1M -exec ls -l {} + # and remove what is not needed`

function writable(problem: string, directory: string): string {
    if (/EROFS/.test(problem)) return `mount -o remount,rw $(df --output=target ${shellWord(directory)} | tail -n 1)`
    return /ENOSPC|EDQUOT/.test(problem) ? whatFills(directory) : `ls -la ${shellWord(directory)}`
}

async function checkSpace({ config }: Housed): Promise<readonly Check[]> {
    const system = await statfs(config.stateDir).catch(() => undefined)
    if (system === undefined) return []
    const free = system.bavail * system.bsize
    const tight = free < LEAST_FREE_BYTES || system.bavail < system.blocks * LEAST_FREE_SHARE
    const volatile = GONE_WITH_POWER.get(system.type)
    const directory = shellWord(config.stateDir)
    return [
        check(
            'sidecar.disk_space',
            'disk space',
            `${Math.floor(free / 1048576)} MB`,
            tight && {
                finding: `${Math.floor(free / 1048576)} MB free on the disk of ${config.stateDir}`,
                why: 'once it is full, decided sets wait',
                fix: whatFills(config.stateDir)
            }
        ),
        check(
            'sidecar.not_durable',
            'storage',
            volatile ?? 'durable',
            volatile !== undefined && {
                finding: `${config.stateDir} is on ${volatile}`,
                why: 'what is written there is gone with the host: the state would have to be rebuilt, and its home adopted anew',
                fix: `install -d -m 0700 /var/lib/pglobalxact && cp -a ${directory}/home /var/lib/pglobalxact/ && npx pglobalxact run --state-dir /var/lib/pglobalxact`
            }
        )
    ]
}
