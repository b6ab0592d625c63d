/** Data directories: one initdb per process and version, then copies, each with an identity of its own. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { appendFile, chown, mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Binaries } from './binaries'
import { logOf } from './launcher'
import { serverAccount, workDir } from './workdir'

const run = promisify(execFile)

/** Read after postgresql.conf; the cluster rewrites it. */
export const CONF_FILE = 'test.conf'

/** The superuser of every test cluster has one password per process, so that cold copies keep it. */
export const PASSWORD = randomBytes(12).toString('hex')

const templates = new Map<string, Promise<string>>()

/** A fresh data directory at `target`, with its own system identifier. */
export async function newDataDir(binaries: Binaries, target: string): Promise<void> {
    let template = templates.get(binaries.bin)
    if (!template) templates.set(binaries.bin, (template = initdb(binaries)))
    await copyDataDir(await template, target)
    await giveIdentity(target)
}

export async function copyDataDir(source: string, target: string): Promise<void> {
    await run('cp', ['-Rp', source, target])
}

/** A directory that the servers' account owns. */
export async function ownedDir(path: string): Promise<void> {
    await mkdir(path, { mode: 0o700 })
    const account = serverAccount()
    if (account) await chown(path, account.uid, account.gid)
}

async function initdb({ bin, major, launcher }: Binaries): Promise<string> {
    const home = join(workDir(), `template-${major}-${templates.size}`)
    await ownedDir(home)
    const account = serverAccount()
    const secret = join(home, 'password')
    await writeFile(secret, PASSWORD, { mode: 0o600 })
    if (account) await chown(secret, account.uid, account.gid)
    const data = join(home, 'data')
    const args = [
        '-D',
        data,
        '-U',
        'postgres',
        `--pwfile=${secret}`,
        '--auth=scram-sha-256',
        '--locale=C',
        '--encoding=UTF8',
        '--no-sync',
        '--no-instructions'
    ]
    const { exit } = await launcher.launch({ program: join(bin, 'initdb'), args, home, title: 'initdb', last: 'TERM' })
    const { code } = await exit
    if (code !== 0) throw new Error(`initdb ended with code ${code}:\n${await readFile(logOf(home), 'utf8')}`)
    await appendFile(join(data, 'postgresql.conf'), `include_if_exists = '${CONF_FILE}'\n`)
    return data
}

/**
 * Copies of one template would all claim to be the same server (and could stream from each
 * other), which no real pair of servers does. initdb alone chooses the identifier, so it is
 * written here where PostgreSQL keeps it: in pg_control, and in the first page of the WAL.
 */
async function giveIdentity(data: string): Promise<void> {
    const id = Buffer.alloc(8)
    id.writeBigUInt64LE((BigInt(Math.floor(Date.now() / 1000)) << 32n) | BigInt(randomBytes(4).readUInt32LE()))
    const path = join(data, 'global', 'pg_control')
    const control = await readFile(path)
    const end = checksumOffset(control)
    id.copy(control, 0)
    control.writeUInt32LE(crc32c(control, end), end)
    await writeFile(path, control)
    const wal = await open(join(data, 'pg_wal', '000000010000000000000001'), 'r+')
    try {
        // XLogLongPageHeaderData: 24 bytes of short header, then xlp_sysid.
        await wal.write(id, 0, 8, 24)
    } finally {
        await wal.close()
    }
}

/** pg_control ends with a CRC of all before it; where that is differs from version to version. */
function checksumOffset(control: Buffer): number {
    for (let end = 200; end < 512; end += 4) {
        if (control.readUInt32LE(end) === crc32c(control, end)) return end
    }
    throw new Error('no checksum found in pg_control: a big-endian machine, or a new layout')
}

function crc32c(bytes: Buffer, length: number): number {
    let crc = 0xffffffff
    for (let i = 0; i < length; i++) {
        crc ^= bytes[i] ?? 0
        for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
    }
    return (crc ^ 0xffffffff) >>> 0
}
