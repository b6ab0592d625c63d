/**
 * Removes what a run made: containers, networks and image, and the daemon if it is ours, with its directory. Run by run.ts at
 * its end, and by the guard (test/support/workdir.ts) if run.ts was killed: so it takes everything from its arguments.
 *
 *   node --require ts-node/register/transpile-only cleanup.ts DIRECTORY IMAGE     and DOCKER_HOST in the environment
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Docker from 'dockerode'
import { LABEL } from '../support/layout'
import { socketIn } from './daemon'

const SHUTDOWN_MS = 30_000

async function cleanUp(directory: string, image: string): Promise<void> {
    const own = existsSync(join(directory, 'started'))
    try {
        await empty(own ? new Docker({ socketPath: socketIn(directory) }) : new Docker(), image)
    } catch (error) {
        // Our own daemon takes everything with it but a bridge.
        console.error(`could not remove what is in the Docker daemon: ${String(error)}`)
        if (!own) process.exitCode = 1
    }
    if (own) await endDaemon(directory)
    endProcesses(directory)
    unmount(directory)
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 })
}

async function empty(docker: Docker, image: string): Promise<void> {
    const mine = { filters: { label: [`${LABEL}=${image}`] } }
    const containers = await docker.listContainers({ all: true, ...mine })
    await Promise.all(containers.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true }).catch(unlessGone)))
    for (const { Id } of await docker.listNetworks(mine)) await docker.getNetwork(Id).remove().catch(unlessGone)
    await docker.getImage(image).remove({ force: true }).catch(unlessGone)
}

function unlessGone(error: unknown): void {
    if ((error as { readonly statusCode?: number }).statusCode !== 404) throw error
}

async function endDaemon(directory: string): Promise<void> {
    const daemon = Number(readFileSync(join(directory, 'started'), 'utf8'))
    // By its directory: the number may be another process's by now.
    const alive = (): boolean => commandOf(daemon).includes(directory)
    if (alive()) process.kill(daemon, 'SIGTERM')
    const deadline = Date.now() + SHUTDOWN_MS
    while (alive() && Date.now() < deadline) await sleep(50)
}

/**
 * What a killed daemon or debootstrap left: helpers name the directory or have their root in it; what runs in a container does
 * neither, but comes from one of them.
 */
function endProcesses(directory: string): void {
    const left = processes().filter(({ command, root }) => command.includes(directory) || root.startsWith(directory))
    for (const { pid } of left.flatMap((helper) => [helper, ...below(helper.pid)])) kill(pid)
}

interface Process {
    readonly pid: number
    readonly parent: number
    readonly command: string
    readonly root: string
}

const commandOf = (pid: number): string => {
    try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    } catch {
        return ''
    }
}

function processes(): readonly Process[] {
    return readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
        .flatMap((name) => {
            try {
                const status = readFileSync(`/proc/${name}/status`, 'utf8')
                const parent = Number(/^PPid:\s*(\d+)/m.exec(status)?.[1])
                return [{ pid: Number(name), parent, command: commandOf(Number(name)), root: readlinkSync(`/proc/${name}/root`) }]
            } catch {
                return []
            }
        })
        .filter(({ command }) => !command.includes(basename(__filename)))
}

function below(pid: number): readonly Process[] {
    const children = processes().filter(({ parent }) => parent === pid)
    return children.flatMap((child) => [child, ...below(child.pid)])
}

function kill(pid: number): void {
    try {
        process.kill(pid, 'SIGKILL')
    } catch {
        // Gone with its parent.
    }
}

/** The last mounted first; nothing of a container's file system must still be mounted when the directory is removed. */
function unmount(directory: string): void {
    const mounted = readFileSync('/proc/mounts', 'utf8').split('\n')
    const ours = mounted.map((line) => line.split(' ')[1] ?? '').filter((path) => path.startsWith(`${directory}/`))
    for (const path of ours.reverse()) execFileSync('umount', ['-l', path])
}

const [directory, image] = process.argv.slice(2)
void cleanUp(directory!, image!)
