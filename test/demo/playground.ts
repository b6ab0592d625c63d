/**
 * `make up`, `make psql`, `make down`: the demo's three servers and sidecar, kept running to play with.
 *
 * The servers die with the process that started them, so `up` leaves one behind (`serve`). It listens on a socket in
 * .playground/, which is how the others find it: no pid is ever trusted. If it is killed, its guard stops the servers.
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import { destroyAllClusters } from '../support/cluster'
import { findPsql } from '../support/psql'
import { until } from '../support/wait'
import { cleanEnv, removeWorkDir } from '../support/workdir'
import { Bank, COORDINATOR, PLACES } from './bank'

const DIRECTORY = resolve(__dirname, '..', '..', '.playground')
const CONNECTION = join(DIRECTORY, 'connection.json')
const LOG = join(DIRECTORY, 'serve.log')
/** Relative to DIRECTORY, which every command makes its working directory: the path of a socket must be short. */
const SOCKET = 'control.sock'

type Order = 'up' | 'down' | 'ping'

/** What connection.json holds. */
interface Connection {
    readonly env: Readonly<Record<string, string>>
    readonly url: string
}

const COMMANDS: Readonly<Record<string, () => Promise<number>>> = { up, psql, down, serve }

async function up(): Promise<number> {
    mkdirSync(DIRECTORY, { recursive: true, mode: 0o700 })
    process.chdir(DIRECTORY)
    const running = await ask('up')
    if (running !== undefined) return print(running)
    rmSync(CONNECTION, { force: true })
    const log = openSync(LOG, 'w', 0o600)
    const server = spawn(process.execPath, [...process.execArgv, __filename, 'serve'], {
        detached: true,
        stdio: ['ignore', log, log],
        cwd: DIRECTORY
    })
    closeSync(log)
    let ended = false
    server.once('exit', () => {
        ended = true
    })
    await until('the playground is up', () => ended || existsSync(CONNECTION), { timeoutMs: 90_000 })
    server.unref()
    const answer = await ask('up')
    if (answer !== undefined) return print(answer)
    console.error(`The playground did not start:\n${readFileSync(LOG, 'utf8')}`)
    return 1
}

async function psql(): Promise<number> {
    if (!enter() || (await ask('ping')) === undefined) {
        console.error('The playground is not running. Start it: make up')
        return 1
    }
    const { env, url } = JSON.parse(readFileSync(CONNECTION, 'utf8')) as Connection
    const program = findPsql()
    if (program === undefined) {
        console.error(`There is no psql here (Debian: apt install postgresql-client). Any other client will do, with\n\n  ${url}\n`)
        return 1
    }
    // Not the place for line numbers of our functions, nor for tables wider than the screen.
    const child = spawn(program, ['-v', 'SHOW_CONTEXT=never', '-P', 'expanded=auto', ...process.argv.slice(3)], {
        env: { ...cleanEnv(), ...env },
        stdio: 'inherit'
    })
    // Ctrl-C is psql's: it cancels a statement there.
    process.on('SIGINT', () => undefined)
    return new Promise((done) => child.once('close', (code) => done(code ?? 1)))
}

async function down(): Promise<number> {
    const answer = enter() ? await ask('down') : undefined
    rmSync(DIRECTORY, { recursive: true, force: true })
    return print(answer ?? 'The playground is not running.\n')
}

/** False when there is no playground. Another user's is not ours to touch: it lets us in no further, which is an error. */
function enter(): boolean {
    if (!existsSync(DIRECTORY)) return false
    process.chdir(DIRECTORY)
    return true
}

/** Gives an order to the running playground; undefined when none runs. */
async function ask(order: Order): Promise<string | undefined> {
    const socket = createConnection(SOCKET)
    try {
        await new Promise<void>((done, fail) => socket.once('connect', done).once('error', fail))
    } catch (error) {
        if (['ENOENT', 'ECONNREFUSED'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
        throw error
    }
    socket.end(order)
    return read(socket)
}

/** All that the other side says. (A stream consumer would close the socket, and we could not answer.) */
async function read(socket: Socket): Promise<string> {
    let text = ''
    socket.setEncoding('utf8').on('data', (part: string) => {
        text += part
    })
    await new Promise<void>((done, fail) => socket.once('end', done).once('error', fail))
    return text
}

/** The process that stays. Two at once: the second finds the socket taken and leaves. */
async function serve(): Promise<number> {
    if ((await ask('up').catch(() => '')) !== undefined) return 0
    rmSync(SOCKET, { force: true })
    const opening = Bank.open()
    const server = createServer(
        { allowHalfOpen: true },
        (socket) => void answer(socket).catch((error: unknown) => socket.end(`${String(error)}\n`))
    )
    const end = async (): Promise<void> => {
        const bank = await opening
        await bank.sidecar?.stop()
        await destroyAllClusters()
        removeWorkDir()
        rmSync(CONNECTION, { force: true })
    }
    async function answer(socket: Socket): Promise<void> {
        const order = await read(socket)
        if (order === 'up') {
            socket.end(`${await revive(await opening)}\n${greeting(await opening)}`)
        } else if (order === 'ping') {
            socket.end('here')
        } else if (order === 'down') {
            await end()
            socket.end('The playground is stopped and removed.\n', () => process.exit(0))
        }
    }
    await new Promise<void>((done, fail) => server.once('error', fail).listen(SOCKET, done))
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => void end().finally(() => process.exit(0)))
    const bank = await opening
    const login = bank.login('dba')
    const connection: Connection = { env: bank.servers[COORDINATOR].env(login), url: bank.servers[COORDINATOR].url(login) }
    writeFileSync(CONNECTION, JSON.stringify(connection), { mode: 0o600 })
    return new Promise(() => undefined)
}

/** Starts what a player has killed, and says so. */
async function revive(bank: Bank): Promise<string> {
    const revived: string[] = []
    for (const place of PLACES) {
        const server = bank.servers[place]
        if (server.pid !== undefined) continue
        // Orphans of a killed server may hold its shared memory for a moment yet.
        await until(`${place} has started`, () => server.start().then(() => true))
        revived.push(place)
    }
    if (bank.sidecar?.running !== true) {
        await bank.startSidecar()
        revived.push('the sidecar')
    }
    return revived.length > 0 ? `Started again: ${revived.join(', ')}.\n` : ''
}

const greeting = (bank: Bank): string => `The playground is up: database "bank" on three servers.

  zurich   coordinator   port ${bank.servers.zurich.port}   pid ${bank.servers.zurich.pid}
  london   node          port ${bank.servers.london.port}   pid ${bank.servers.london.pid}
  tokyo    node          port ${bank.servers.tokyo.port}   pid ${bank.servers.tokyo.pid}
  sidecar                             pid ${bank.sidecar?.pid}

Open "make psql" and try:

  select * from whole_bank;
  begin;
  update account set balance = balance - 100;
  select pglobalxact.exec('tokyo', 'update account set balance = balance + 100');
  select * from pglobalxact.sets();
  commit;
  select * from pglobalxact.nodes();
  \\df pglobalxact.[a-z]*

Then break something ("kill -9" a pid from above), work on, and look at sets() again;
"make up" starts what is dead. "make down" stops everything and removes it.
`

function print(line: string): number {
    process.stdout.write(line.trimStart())
    return 0
}

const command = COMMANDS[process.argv[2] ?? '']
if (command === undefined) {
    console.error('usage: playground.ts up | psql | down')
    process.exit(2)
}
command().then(
    (code) => process.exit(code),
    (error: unknown) => {
        console.error(error instanceof Error ? error.message : error)
        process.exit(1)
    }
)
