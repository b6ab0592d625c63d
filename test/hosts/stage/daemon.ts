/**
 * A Docker daemon for the hosts: the one that answers already, or one of our own in a directory of its own.
 *
 * Our own one changes nothing outside that directory but the network bridges it makes: no default bridge, no rule in the
 * packet filter, no forwarding. The hosts need neither: they talk to each other and to this machine over bridges.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { within } from '../../support/wait'

/** What keeps the hosts from being built here. Not a failure of the tests: it is said loudly, and nothing is proved. */
export class NotHere extends Error {}

const DEFAULT_SOCKET = '/var/run/docker.sock'
/** A fresh root file system is unpacked and its programs configured in it. */
const START_MS = 60_000
const DAEMON_PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`

/** Where the daemon in `directory` listens. */
export const socketIn = (directory: string): string => join(directory, 'sock')

/** DOCKER_HOST of a daemon that is somebody's already; undefined if none answers. */
export async function runningDaemon(): Promise<string | undefined> {
    const given = process.env['DOCKER_HOST']
    if (given) return given
    return (await answers(DEFAULT_SOCKET)) ? `unix://${DEFAULT_SOCKET}` : undefined
}

/** Debian's packages, if a program is missing. Throws NotHere where they cannot be had. */
export function install(programs: Readonly<Record<string, string>>): void {
    const missing = [...new Set(Object.keys(programs).filter((program) => !onPath(program)))]
    if (missing.length === 0) return
    const packages = [...new Set(missing.map((program) => programs[program]!))]
    if (process.getuid?.() !== 0) throw new NotHere(`${missing.join(', ')} missing, and not root to install ${packages.join(' ')}`)
    if (!onPath('apt-get')) throw new NotHere(`${missing.join(', ')} missing, and no apt-get to install ${packages.join(' ')}`)
    console.log(`installing ${packages.join(' ')}`)
    withoutServices(() => {
        try {
            apt('update')
        } catch {
            // The lists that are there may do.
        }
        try {
            apt('install', '-y', '--no-install-recommends', ...packages)
        } catch (error) {
            throw new NotHere(`apt-get could not install ${packages.join(' ')}: ${lastLine(error)}`)
        }
    })
}

/** Starts a daemon; it lives until cleanUp. Throws NotHere where it does not run. */
export async function startDaemon(directory: string): Promise<string> {
    if (process.getuid?.() !== 0) throw new NotHere('no Docker daemon answers, and not root to start one')
    const logFile = join(directory, 'log')
    const log = openSync(logFile, 'a')
    const args = [
        `--data-root=${join(directory, 'data')}`,
        `--exec-root=${join(directory, 'exec')}`,
        `--pidfile=${join(directory, 'pid')}`,
        `--host=unix://${socketIn(directory)}`,
        '--bridge=none',
        '--iptables=false',
        '--ip-forward=false',
        '--ip-masq=false',
        '--userland-proxy=false',
        '--shutdown-timeout=3'
    ]
    // Detached: Ctrl-C must not end it before the containers are removed.
    const daemon = spawn('dockerd', args, { env: { ...process.env, PATH: DAEMON_PATH }, detached: true, stdio: ['ignore', log, log] })
    daemon.unref()
    const ended = new Promise<true>((done) => {
        daemon.once('exit', () => done(true))
        daemon.once('error', () => done(true))
    })
    // Of its own it writes the file later: whoever cleans up must find it however early that is.
    if (daemon.pid !== undefined) writeFileSync(join(directory, 'started'), String(daemon.pid))
    const deadline = Date.now() + START_MS
    while (!(await answers(socketIn(directory)))) {
        if ((await within(ended, 100)) || Date.now() > deadline) {
            throw new NotHere(`the Docker daemon does not run here: ${readFileSync(logFile, 'utf8').trim().split('\n').at(-1) ?? ''}`)
        }
    }
    return `unix://${socketIn(directory)}`
}

async function answers(socketPath: string): Promise<boolean> {
    const ping = new Promise<boolean>((done) => {
        const request = get({ socketPath, path: '/_ping', timeout: 5000 }, (response) => {
            response.resume()
            done(response.statusCode === 200)
        })
        request.once('error', () => done(false))
        request.once('timeout', () => request.destroy())
    })
    return (await Promise.race([ping, sleep(6000, false, { ref: false })])) === true
}

/** Debian starts a service when it is installed: this daemon would be nobody's, with the packet filter changed for good. */
function withoutServices(work: () => void): void {
    const policy = '/usr/sbin/policy-rc.d'
    const ours = !existsSync(policy)
    if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
    try {
        work()
    } finally {
        if (ours) rmSync(policy, { force: true })
    }
}

function apt(...args: readonly string[]): void {
    const patience = ['-qq', '-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=20', '-o', 'Dpkg::Use-Pty=0']
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', PATH: DAEMON_PATH }
    execFileSync('apt-get', [...patience, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' })
}

const onPath = (program: string): boolean => DAEMON_PATH.split(':').some((directory) => existsSync(join(directory, program)))

export function lastLine(error: unknown): string {
    const said = (error as { readonly stderr?: string }).stderr?.trim() || String(error)
    return said.split('\n').at(-1)!
}
