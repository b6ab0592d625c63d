/** How the programs of PostgreSQL are run: here as processes of ours, in container.ts each in a container. */
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { registerPid, release, serverAccount, workDir, type LastSignal } from './workdir'

export interface Command {
    readonly program: string
    readonly args: readonly string[]
    /** Its working directory, owned by the servers' account. What it prints is appended to the file `log` there. */
    readonly home: string
    readonly title: string
    /** How the guard ends it first. */
    readonly last: LastSignal
    /** More variables of its environment. */
    readonly env?: Readonly<Record<string, string>>
}

export interface Launched {
    /** As this machine knows it; undefined if the program could not be run, or has ended already. */
    readonly pid: number | undefined
    readonly exit: Promise<Ended>
}

export interface Ended {
    /** null: ended by a signal, or not known. */
    readonly code: number | null
}

export interface Launcher {
    /** Starts a program, in the guard's care until it exits. */
    launch(command: Command): Promise<Launched>
    /** A killed server leaves a small System V segment, which only its next start would remove. */
    freeSegment(dataDir: string): void
}

export const logOf = (home: string): string => join(home, 'log')

/** The environment of a server: dblink runs in it, so nothing of ours may steer its libpq. */
export const serverEnv = (): Record<string, string> => ({ LC_ALL: 'C', HOME: workDir() })

/** Puts what was launched into the guard's care. */
export function guarded({ title, last }: Command, { pid, exit }: Launched): Launched {
    if (pid === undefined) return { pid, exit }
    registerPid(pid, title, last)
    return { pid, exit: exit.finally(() => release(pid)) }
}

export const processes: Launcher = {
    async launch(command) {
        const { program, args, home } = command
        const log = openSync(logOf(home), 'a', 0o644)
        // A direct child, so that its end is noticed at once; detached, so that Ctrl-C does not reach it.
        const child = spawn(program, args, {
            ...serverAccount(),
            cwd: home,
            env: { PATH: process.env['PATH'], ...serverEnv(), ...command.env },
            detached: true,
            stdio: ['ignore', log, log]
        })
        closeSync(log)
        const exit = new Promise<Ended>((resolve) => {
            child.once('exit', (code) => resolve({ code }))
            child.once('error', () => resolve({ code: null }))
        })
        return guarded(command, { pid: child.pid, exit })
    },

    freeSegment(dataDir) {
        try {
            const id = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[6]?.trim().split(/\s+/)[1]
            if (id) execFileSync('ipcrm', ['-m', id], { stdio: 'ignore' })
        } catch {
            // Stopped cleanly, or no ipcrm here: a few bytes until the next boot.
        }
    }
}
