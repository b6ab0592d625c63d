import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { createConnection, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { Refusal } from './refusal'
import { property } from './sqlstate'

/**
 * The directory that holds the state files: checked before anything is trusted to it, held by one process at a time,
 * and named by a home id, by which a coordinator knows the sidecar that may act for it.
 */
export interface StateDir {
    readonly path: string
    /** 16 hex digits, made once per directory. */
    readonly home: string
    release(): Promise<void>
}

const SOCKET = 'sidecar.sock'
const LONGEST_SOCKET_PATH = 100 // sockaddr_un holds 104 to 108 bytes, depending on the system

export async function openStateDir(path: string, uid: number): Promise<StateDir> {
    await check(path, uid)
    const lock = await hold(join(path, SOCKET))
    const home = await readHome(join(path, 'home'), path)
    return { path, home, release: () => new Promise((done) => lock.close(() => done())) }
}

async function check(path: string, uid: number): Promise<void> {
    const found = await stat(path).catch(() => undefined)
    if (found === undefined || !found.isDirectory()) {
        throw new Refusal(
            `state directory ${path} does not exist`,
            `Create it for the user the sidecar runs as: install -d -m 0700 ${path}`
        )
    }
    if (found.uid !== uid) {
        throw new Refusal(
            `state directory ${path} belongs to uid ${found.uid}, not to this process (uid ${uid})`,
            'Run the sidecar as its owner, or give it a directory of its own.'
        )
    }
    if ((found.mode & 0o077) !== 0) {
        throw new Refusal(
            `state directory ${path} is open to other users (mode ${(found.mode & 0o777).toString(8)})`,
            `Run: chmod 0700 ${path}`
        )
    }
    // access() lets root through on a read-only file system: only writing tells.
    try {
        await access(path, constants.W_OK | constants.X_OK)
        await rm(await mkdtemp(join(path, '.probe-')), { recursive: true })
    } catch (error) {
        throw new Refusal(
            `state directory ${path} cannot be written: ${property(error, 'code') ?? String(error)}`,
            'Check its permissions, whether its file system is mounted read-only, and the space left on it.'
        )
    }
    if (Buffer.byteLength(join(path, SOCKET)) > LONGEST_SOCKET_PATH) {
        throw new Refusal(
            `the path of state directory ${path} is too long`,
            `At most ${LONGEST_SOCKET_PATH - SOCKET.length - 1} bytes: it holds a Unix socket.`
        )
    }
}

/**
 * A listening socket is held exactly as long as its process lives, whatever kills it. Two processes that both find a
 * dead one's socket could replace each other's: so each looks, after a moment, whether it still answers itself. What
 * is left of that race is harmless to the data: the acting lock and the fences at the nodes stand behind it.
 */
async function hold(path: string): Promise<Server> {
    const token = randomBytes(8).toString('hex')
    if ((await ask(path)) !== undefined) throw inUse(path)
    await rm(path, { force: true })
    const server = createServer((socket) => socket.on('error', () => undefined).end(token))
    await new Promise<void>((done, fail) => server.once('error', fail).listen(path, done))
    server.unref()
    await new Promise((done) => setTimeout(done, 30))
    if ((await ask(path)) !== token) {
        server.close()
        throw inUse(path)
    }
    return server
}

const inUse = (path: string): Refusal =>
    new Refusal(
        `another sidecar is using this state directory (${path} answers)`,
        'Stop it first, or give this one a directory of its own.'
    )

function ask(path: string): Promise<string | undefined> {
    return new Promise((done) => {
        let answer = ''
        const socket = createConnection(path)
        socket.setTimeout(2000, () => socket.destroy())
        socket.on('data', (data) => (answer += data.toString()))
        socket.on('error', () => done(undefined))
        socket.on('close', () => done(answer))
    })
}

async function readHome(path: string, directory: string): Promise<string> {
    const found = await readFile(path, 'utf8').catch((error: unknown) => {
        if (property(error, 'code') === 'ENOENT') return undefined
        throw error
    })
    if (found !== undefined && /^[0-9a-f]{16}\n$/.test(found)) return found.trim()
    if (found !== undefined && found !== '') {
        throw new Refusal(
            `${path} does not hold a home id`,
            'Restore it from a copy; or remove it and allow the new id with pglobalxact.adopt(reason).'
        )
    }
    const home = randomBytes(8).toString('hex')
    const file = await open(path, 'w', 0o600)
    try {
        await file.writeFile(`${home}\n`)
        await file.sync()
    } finally {
        await file.close()
    }
    await syncDirectory(directory)
    return home
}

/** A new or removed name is durable only once its directory is. */
export async function syncDirectory(path: string): Promise<void> {
    const directory = await open(path, 'r')
    try {
        await directory.sync()
    } finally {
        await directory.close()
    }
}
