/**
 * `make hosts`: prepares a Docker daemon and the image of a host, runs the tests in this directory, and removes everything it
 * made. Where hosts cannot be had it says what was not proved and why, and that is no failure.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { getContainerRuntimeClient } from 'testcontainers'
import { atEnd, register, removeWorkDir } from '../support/workdir'
import { NotHere, install, runningDaemon, startDaemon } from './stage/daemon'
import { bootstrap, furnish, importImage } from './stage/image'
import { checkReach } from './support/reach'

const ROOT = resolve(__dirname, '..', '..')
const MOCHA = join(ROOT, 'node_modules', 'mocha', 'bin', 'mocha.js')

async function main(): Promise<number> {
    if (process.platform !== 'linux') throw new NotHere('not Linux: the addresses of containers cannot be reached from here')
    const directory = mkdtempSync(join(tmpdir(), 'pgx-hosts-'))
    const image = `pglobalxact-host:${basename(directory).toLowerCase()}`
    Object.assign(process.env, {
        PGLOBALXACT_HOSTS_IMAGE: image,
        // Ryuk's image would have to be pulled; the guard does its work.
        TESTCONTAINERS_RYUK_DISABLED: 'true',
        // Else it looks for the default bridge, which our own daemon does not make.
        TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1'
    })
    const known = await runningDaemon()
    if (known !== undefined) process.env['DOCKER_HOST'] = known
    const cleanUp = [
        process.execPath,
        '--require',
        'ts-node/register/transpile-only',
        join(__dirname, 'stage', 'cleanup.ts'),
        directory,
        image
    ]
    atEnd(`cd ${quoted(ROOT)} && ${cleanUp.map(quoted).join(' ')}`)
    try {
        await prepare(directory, image, known)
        return await mocha()
    } finally {
        execFileSync(cleanUp[0]!, cleanUp.slice(1), { cwd: ROOT, stdio: 'inherit' })
        removeWorkDir()
    }
}

async function prepare(directory: string, image: string, known: string | undefined): Promise<void> {
    const started = Date.now()
    install({ debootstrap: 'debootstrap', ...(known === undefined && { dockerd: 'docker.io' }) })
    // A machine that cannot run containers shows it at once: before a Debian is made for nothing.
    if (known === undefined) process.env['DOCKER_HOST'] = await startDaemon(directory)
    await getContainerRuntimeClient().catch((error: unknown) => {
        throw new NotHere(`the Docker daemon at ${process.env['DOCKER_HOST']} cannot be used: ${String(error)}`)
    })
    const root = await bootstrap(directory)
    await furnish(root, Number(process.env['PGLOBALXACT_TEST_PG_VERSION']) || undefined)
    await importImage(root, image)
    await checkReach()
    console.log(`hosts: Docker daemon ${known ?? 'of our own'}, image made in ${Math.round((Date.now() - started) / 1000)} s`)
}

function mocha(): Promise<number> {
    const given = process.argv.slice(2)
    const args = [MOCHA, '--exit', ...given, ...(given.some((word) => word.endsWith('.test.ts')) ? [] : ['test/hosts/**/*.test.ts'])]
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' })
    register(child, 'mocha', 'TERM')
    return new Promise((done) => child.once('close', (code) => done(code ?? 1)))
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

main().then(
    (code) => (process.exitCode = code),
    (error: unknown) => {
        if (!(error instanceof NotHere)) throw error
        console.log(
            `\nSKIPPED: hosts of their own. NOT PROVED in this run: what happens when whole hosts are killed, frozen or cut off on a real network.\n` +
                `  because: ${error.message}\n`
        )
    }
)
