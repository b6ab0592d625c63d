/** The sidecar on a host: beside the coordinator's PostgreSQL, or on a host of its own. */
import { until } from '../../support/wait'
import type { Host } from './host'
import { LOGS, NODE, PRODUCT, STATE } from './layout'

const LOG = `${LOGS}/sidecar.log`
const PID = `${LOGS}/sidecar.pid`
/** As impatient as in the other tests. */
const QUICKLY = ['--scan-interval', '200', '--retry-cap', '500', '--node-timeout', '3000'] as const

/** When a process began, in ticks since the machine did: its number may be another's after a restart of the host. */
const began = (pid: string): string => `"$(sed 's/.*) //' /proc/${pid}/stat 2>/dev/null | cut -d ' ' -f 20)"`
const RUN = `echo $$ ${began('$$')} >${PID}; exec ${NODE} ${PRODUCT}/dist/main.js run --state-dir ${STATE} "$@" >>${LOG} 2>&1`

const RUNS = `read -r pid at <${PID} && [ ${began('$pid')} = "$at" ]`

/** A takeover waits until the old one's connections are given up by those at their other ends. */
const PATIENCE_MS = 60_000

export class HostSidecar {
    #from = 0

    constructor(
        readonly host: Host,
        private readonly databaseUrl: string
    ) {}

    /** Starts it, and does not wait for anything. What waitForLog finds from now on is of this one. */
    async launch(...args: readonly string[]): Promise<void> {
        this.#from = (await this.lines(0)).length
        await this.host.launch(['/bin/sh', '-c', RUN, 'sidecar', ...QUICKLY, ...args], {
            PGLOBALXACT_DATABASE_URL: this.databaseUrl,
            PGLOBALXACT_METRICS: 'off'
        })
    }

    /** Starts it and waits until it acts. */
    async start(...args: readonly string[]): Promise<void> {
        await this.launch(...args)
        await this.waitForLog(/ acting /)
    }

    /** The process alone; its host lives on. */
    async kill(): Promise<void> {
        await this.signal('KILL')
        await until('the sidecar is gone', async () => !(await this.running()))
    }

    async signal(name: 'KILL' | 'CONT'): Promise<void> {
        await this.host.run('/bin/sh', '-c', `${RUNS} && kill -${name} $pid`)
    }

    async running(): Promise<boolean> {
        return (await this.host.running()) && (await this.host.run('/bin/sh', '-c', RUNS)).code === 0
    }

    /** A line that it has printed since it was started, or after line `from` of that. */
    async waitForLog(pattern: RegExp, from = 0): Promise<string> {
        return until(
            `the sidecar on ${this.host.name} has printed ${String(pattern)}`,
            async () => {
                const lines = await this.lines(this.#from)
                const found = lines.slice(from).find((line) => pattern.test(line))
                if (found === undefined) throw new Error(`it has printed:\n${lines.slice(-20).join('\n')}`)
                return found
            },
            { timeoutMs: PATIENCE_MS, everyMs: 200 }
        )
    }

    /** How much it has printed since it was started. */
    async printed(): Promise<number> {
        return (await this.lines(this.#from)).length
    }

    /** What it has printed since it was started. */
    said(): Promise<readonly string[]> {
        return this.lines(this.#from)
    }

    /** Names of the state files; the file "home" and the socket are always there. */
    async stateFiles(): Promise<readonly string[]> {
        const { output } = await this.host.run('ls', STATE)
        return output.split('\n').filter((name) => name !== '' && name !== 'home' && name !== 'sidecar.sock')
    }

    /** What stands in them. */
    async stateLines(): Promise<string> {
        return (await this.host.run('/bin/sh', '-c', `cat ${STATE}/state-*.log 2>/dev/null`)).output
    }

    private async lines(from: number): Promise<readonly string[]> {
        const { output } = await this.host.run('tail', '-n', `+${from + 1}`, LOG)
        return output.split('\n').filter((line) => line !== '' && !line.startsWith('tail: '))
    }
}
