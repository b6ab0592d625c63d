/**
 * The image of a host: a minimal Debian made by debootstrap, with PostgreSQL, Node and the compiled sidecar in it. Everything
 * is taken from this machine or from the archive its apt uses; no registry is asked.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import {
    appendFileSync,
    chmodSync,
    chownSync,
    copyFileSync,
    cpSync,
    existsSync,
    mkdirSync,
    readFileSync,
    renameSync,
    rmSync
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { json } from 'node:stream/consumers'
import { getContainerRuntimeClient } from 'testcontainers'
import { binaries } from '../../support/binaries'
import { register } from '../../support/workdir'
import { ACCOUNT, HOME, LOGS, NODE, POSTGRES, PRODUCT, STATE } from '../support/layout'
import { NotHere, lastLine } from './daemon'

const ROOT = resolve(__dirname, '..', '..', '..')

/** Debian's file system in a directory; from the cache directory, if one is given and has it. */
export async function bootstrap(directory: string): Promise<string> {
    if (process.getuid?.() !== 0) throw new NotHere('not root: debootstrap cannot make the file system of the hosts')
    const root = join(directory, 'root')
    const { VERSION_CODENAME: suite, ID: system } = osRelease()
    if (!suite) throw new NotHere('this system has no code name (/etc/os-release): no suite for debootstrap')
    const cache = process.env['PGLOBALXACT_HOSTS_CACHE']
    const kept = cache && join(cache, `${system}-${suite}-${process.arch}.tar`)
    mkdirSync(root)
    // In memory: every file that dpkg unpacks is flushed to the disk, which takes most of the time there. Else on disk.
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'pgx-hosts', root], { stdio: 'ignore' })
    if (kept && existsSync(kept)) {
        execFileSync('tar', ['-C', root, '-xf', kept])
        return root
    }
    const args = ['--variant=minbase', suite, root, archive(suite)]
    await run('debootstrap', args, { ...process.env, ...proxy() }).catch((error: unknown) => {
        throw new NotHere(`debootstrap could not make a Debian (${suite}): ${String(error)}`)
    })
    for (const waste of ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/locale']) {
        rmSync(join(root, waste), { recursive: true, force: true })
    }
    if (kept) {
        mkdirSync(cache, { recursive: true })
        // Two runs may fill the cache at a time: whole or not at all.
        execFileSync('tar', ['-C', root, '-cf', `${kept}.${process.pid}`, '.'])
        renameSync(`${kept}.${process.pid}`, kept)
    }
    return root
}

/** Puts the programs in: as they are here, so that what is tested is what was built. */
export async function furnish(root: string, major: number | undefined): Promise<void> {
    const { bin } = await binaries(major ?? 17)
    copy(dirname(bin), join(root, POSTGRES))
    copyNode(root)
    for (const part of ['dist', 'sql', 'package.json', ...dependencies()]) copy(join(ROOT, part), join(root, PRODUCT, part))
    appendFileSync(join(root, 'etc/passwd'), `postgres:x:${ACCOUNT}:${ACCOUNT}::${HOME}:/bin/sh\n`)
    appendFileSync(join(root, 'etc/group'), `postgres:x:${ACCOUNT}:\n`)
    for (const own of [HOME, STATE, LOGS]) {
        const path = join(root, own)
        mkdirSync(path, { recursive: true })
        chmodSync(path, 0o700)
        chownSync(path, ACCOUNT, ACCOUNT)
    }
}

/** Hands the file system over to the daemon that DOCKER_HOST names: it is not here any more then. */
export async function importImage(root: string, image: string): Promise<void> {
    const { container } = await getContainerRuntimeClient()
    const [repo, tag] = image.split(':')
    // Devices are the daemon's business.
    const tar = spawn('tar', ['-C', root, '--exclude=./dev/*', '--exclude=./proc/*', '--exclude=./sys/*', '-c', '.'], {
        stdio: ['ignore', 'pipe', 'inherit']
    })
    const options = { fromSrc: '-', repo, tag } as unknown as { fromSrc: string }
    const answer = (await json(await container.dockerode.importImage(tar.stdout, options))) as { readonly error?: string }
    if (answer.error !== undefined) throw new Error(`the image could not be imported: ${answer.error}`)
    spawnSync('umount', [root], { stdio: 'ignore' })
    rmSync(root, { recursive: true, force: true })
}

/** The archive that apt uses here for this suite. */
function archive(suite: string): string {
    const format = '$(SITE) $(RELEASE) $(COMPONENT)'
    const targets = execFileSync('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], { encoding: 'utf8' })
    const found = targets.split('\n').map((line) => line.split(' '))
    const [site] = found.find(([, release, component]) => release === suite && component === 'main') ?? []
    if (!site) throw new NotHere(`apt has no archive with ${suite} main: nothing to make the hosts from`)
    return site
}

/** debootstrap fetches with wget, which knows nothing of apt's proxy. */
function proxy(): NodeJS.ProcessEnv {
    const read = (name: string): string =>
        execFileSync('apt-config', ['shell', 'P', name], { encoding: 'utf8' }).replace(/^P='(.*)'\n$/, '$1')
    const [http, https] = [read('Acquire::http::Proxy'), read('Acquire::https::Proxy')]
    return { ...(http && { http_proxy: http }), ...(https && { https_proxy: https }) }
}

function osRelease(): Readonly<Record<string, string>> {
    const text = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
    return Object.fromEntries([...text.matchAll(/^(\w+)="?(.*?)"?$/gm)].map(([, name, value]) => [name!, value!]))
}

/** Node as it runs here, and of its libraries those that a minimal Debian lacks. */
function copyNode(root: string): void {
    copyFileSync(process.execPath, join(root, NODE))
    const libraries = execFileSync('ldd', [process.execPath], { encoding: 'utf8' })
    for (const [, path] of libraries.matchAll(/=> (\/\S+)/g)) {
        if (existsSync(join(root, path!))) continue
        mkdirSync(dirname(join(root, path!)), { recursive: true })
        copyFileSync(path!, join(root, path!))
    }
    try {
        execFileSync('chroot', [root, NODE, '--version'], { stdio: 'pipe', encoding: 'utf8' })
    } catch (error) {
        throw new NotHere(`this Node does not run in a Debian of its own: ${lastLine(error)}`)
    }
}

/** The sidecar's, not the tests'. */
function dependencies(): readonly string[] {
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
        readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly optional?: boolean }>>
    }
    return Object.entries(lock.packages)
        .filter(([path, { dev, optional }]) => path !== '' && !dev && !(optional && !existsSync(join(ROOT, path))))
        .map(([path]) => path)
}

function copy(from: string, to: string): void {
    cpSync(from, to, { recursive: true, verbatimSymlinks: true })
}

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
    return new Promise((done, fail) => {
        const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
        register(child, program, 'TERM')
        let last = ''
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding('utf8').on('data', (text: string) => {
                last = text.trim().split('\n').at(-1) || last
            })
        }
        child.once('error', fail)
        child.once('close', (code) => (code === 0 ? done() : fail(new Error(last))))
    })
}
