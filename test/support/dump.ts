/** packaging/pglobalxact-dump, as a DBA runs it, and the pg_dump that it finds. */
import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Cluster, Login } from './cluster'
import { cleanEnv, register } from './workdir'

const SCRIPT = resolve(__dirname, '..', '..', 'packaging', 'pglobalxact-dump')

/** The version that a pg_dump must have for this server, if the one on the PATH is older or there is none. */
export function missingPgDump({ versionNum }: Cluster): number | undefined {
    const server = Math.floor(versionNum / 10_000)
    const { stdout, error } = spawnSync('pg_dump', ['--version'], { encoding: 'utf8' })
    const found = error === undefined ? Number(/\) (\d+)/.exec(stdout)?.[1] ?? 0) : 0
    return found < server ? server : undefined
}

export interface DumpLogins {
    readonly coordinator: Cluster
    readonly dba: Required<Login>
    /** On the nodes. */
    readonly there: Pick<Required<Login>, 'user' | 'password'>
}

/** Into the directory, where the passwords are, too. */
export async function runDump(
    directory: string,
    { coordinator, dba, there }: DumpLogins,
    args: readonly string[] = []
): Promise<{ readonly code: number | null; readonly stderr: string }> {
    const pass = join(directory, 'pgpass')
    writeFileSync(pass, `*:*:*:${dba.user}:${dba.password}\n*:*:*:${there.user}:${there.password}\n`, { mode: 0o600 })
    const child = spawn('sh', [SCRIPT, directory, ...args], {
        env: {
            ...cleanEnv(),
            PGHOST: coordinator.host,
            PGPORT: String(coordinator.port),
            PGDATABASE: dba.database,
            PGUSER: dba.user,
            PGPASSFILE: pass,
            PGLOBALXACT_DUMP_USER: there.user
        }
    })
    register(child, 'pglobalxact-dump', 'TERM')
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.stdout.resume()
    return { code: await new Promise((done) => child.once('close', done)), stderr }
}
