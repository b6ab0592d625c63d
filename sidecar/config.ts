import { parseArgs } from 'node:util'
import { FAULT_POINTS } from './fault'
import { Refusal } from './refusal'

/** One option, declared once: its flag, environment variable, default, check and help all come from here. */
interface Option<T> {
    readonly flag: string
    readonly value: string
    readonly variable: string
    readonly fallback: string | undefined
    readonly help: string
    /** `given`: by a person, not the default. */
    readonly read: (text: string, name: string, given: boolean) => T
}

/** Where to listen. One that nobody asked for may be taken by another program. */
export interface Endpoint {
    readonly host: string
    readonly port: number
    readonly given: boolean
}

const text = (value: string): string => value

const integer =
    (least: number, most: number) =>
    (value: string, name: string): number => {
        const parsed = /^\d+$/.test(value) ? Number(value) : NaN
        if (!(parsed >= least && parsed <= most)) {
            throw new Refusal(`${name} is ${JSON.stringify(value)}`, `Give a whole number from ${least} to ${most}.`)
        }
        return parsed
    }

const oneOf =
    <T extends string>(...words: readonly T[]) =>
    (value: string, name: string): T => {
        const found = words.find((word) => word === value)
        if (found === undefined)
            throw new Refusal(`${name} is ${JSON.stringify(value)}`, `Give one of: ${words.filter((word) => word !== '').join(', ')}.`)
        return found
    }

/** Undefined for "off". */
const endpoint = (value: string, name: string, given: boolean): Endpoint | undefined => {
    if (value === 'off') return undefined
    const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([\w.-]+)):(\d{1,5})$/.exec(value) ?? []
    const port = Number(digits)
    if (!(port <= 65_535)) {
        throw new Refusal(
            `${name} is ${JSON.stringify(value)}`,
            'Give an address and a port, such as 127.0.0.1:19187 or [::1]:19187; port 0 takes a free one; off serves none.'
        )
    }
    return { host: (bracketed ?? plain)!, port, given }
}

const OPTIONS = {
    stateDir: option(
        'state-dir',
        'DIR',
        undefined,
        text,
        'directory of the state files (mode 0700, owned by the user the sidecar runs as); required by run'
    ),
    databaseUrl: option(
        'database-url',
        'URL',
        '',
        text,
        'the coordinator database; without it the standard PG* variables are used. Keep the password out of the command line: use PGPASSWORD, PGPASSFILE or the variable'
    ),
    scanInterval: option('scan-interval', 'MS', '1000', integer(50, 3_600_000), 'how often each node is looked at'),
    connectionsPerNode: option('connections-per-node', 'N', '16', integer(1, 64), 'connections that finish branches, at most, per node'),
    nodeTimeout: option(
        'node-timeout',
        'MS',
        '10000',
        integer(100, 3_600_000),
        'how long a node may take to answer before its connection is given up'
    ),
    retryCap: option(
        'retry-cap',
        'MS',
        '30000',
        integer(100, 3_600_000),
        'longest wait between two tries; waits grow from 100 ms, doubling'
    ),
    segmentBytes: option(
        'segment-bytes',
        'BYTES',
        '4194304',
        integer(4096, 1_073_741_824),
        'size at which a state file is replaced by a compacted one'
    ),
    lostSets: option(
        'lost-sets',
        'WORD',
        'report',
        oneOf('report', 'rollback'),
        'branches whose local transaction ran on a time line that an asynchronous failover lost: report them and wait for a person, or roll them back'
    ),
    metrics: option(
        'metrics',
        'HOST:PORT',
        '127.0.0.1:19187',
        endpoint,
        'where Prometheus may fetch /metrics; port 0 takes a free one, "off" serves none. It asks for no password: keep it off public addresses'
    ),
    faultPoint: option(
        'fault-point',
        'NAME',
        '',
        oneOf('', ...FAULT_POINTS),
        'for tests: stop the process (SIGSTOP) when it reaches this point'
    )
} as const

function option<T>(flag: string, value: string, fallback: string | undefined, read: Option<T>['read'], help: string): Option<T> {
    return { flag, value, fallback, read, help, variable: `PGLOBALXACT_${flag.toUpperCase().replaceAll('-', '_')}` }
}

type Options = typeof OPTIONS
export type Config = { readonly [K in keyof Options]: Options[K] extends Option<infer T> ? T : never }
export type Command = 'run' | 'install' | 'uninstall' | 'help' | 'version'

const COMMANDS: readonly Command[] = ['run', 'install', 'uninstall', 'help', 'version']

/** Flags win over variables, variables over defaults. Throws a Refusal that names the flag or variable at fault. */
export function readConfig(
    args: readonly string[],
    env: Readonly<Record<string, string | undefined>>
): { command: Command; config: Config } {
    const { values, positionals } = parse(args)
    if (values['help'] === true) return { command: 'help', config: resolve({}, {}, false) }
    if (values['version'] === true) return { command: 'version', config: resolve({}, {}, false) }
    const command = COMMANDS.find((word) => word === (positionals[0] ?? 'help'))
    if (command === undefined || positionals.length > 1) {
        throw new Refusal(`unknown command: ${positionals.join(' ')}`, 'Run: npx pglobalxact --help')
    }
    return { command, config: resolve(values, env, command === 'run') }
}

function parse(args: readonly string[]) {
    const flags = Object.fromEntries(Object.values(OPTIONS).map((o) => [o.flag, { type: 'string' as const }]))
    try {
        return parseArgs({
            args: [...args],
            allowPositionals: true,
            options: { ...flags, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'V' } }
        })
    } catch (error) {
        throw new Refusal(error instanceof Error ? error.message : String(error), 'Run: npx pglobalxact --help')
    }
}

function resolve(
    values: Readonly<Record<string, string | boolean | undefined>>,
    env: Readonly<Record<string, string | undefined>>,
    complete: boolean
): Config {
    const read = <T>(o: Option<T>): T => {
        const flag = values[o.flag]
        const variable = env[o.variable] ?? (o.flag === 'database-url' ? env['DATABASE_URL'] : undefined)
        const given = typeof flag === 'string' ? flag : variable
        const name = typeof flag === 'string' ? `--${o.flag}` : o.variable
        if ((given ?? '') === '' && o.fallback === undefined && complete) {
            throw new Refusal(`--${o.flag} is missing`, `Give --${o.flag} ${o.value} or set ${o.variable}: ${o.help}.`)
        }
        return o.read(given ?? o.fallback ?? '', name, given !== undefined)
    }
    return {
        stateDir: read(OPTIONS.stateDir),
        databaseUrl: read(OPTIONS.databaseUrl),
        scanInterval: read(OPTIONS.scanInterval),
        connectionsPerNode: read(OPTIONS.connectionsPerNode),
        nodeTimeout: read(OPTIONS.nodeTimeout),
        retryCap: read(OPTIONS.retryCap),
        segmentBytes: read(OPTIONS.segmentBytes),
        lostSets: read(OPTIONS.lostSets),
        metrics: read(OPTIONS.metrics),
        faultPoint: read(OPTIONS.faultPoint)
    }
}

export function usage(): string {
    const rows = Object.values(OPTIONS).map((o) => {
        const fallback = o.fallback === undefined || o.fallback === '' ? '' : ` (default ${o.fallback})`
        return `  --${o.flag} ${o.value}\n      ${wrap(o.help + fallback)}\n      ${o.variable}\n`
    })
    return `pglobalxact: distributed transactions for plain PostgreSQL

  pglobalxact run --state-dir DIR   run the sidecar of the coordinator database
  pglobalxact install               install or upgrade schema pglobalxact there
  pglobalxact uninstall             remove it (not while sets are unfinished)

The database is given by --database-url or the standard PG* variables.
Each option has an environment variable; a flag wins over it.

${rows.join('\n')}
Exit status: 0 stopped as asked, 1 failed, 2 bad configuration or a state
directory that a person must look at.
`
}

const wrap = (line: string): string => line.replace(/(.{1,72})(?:\s+|$)/g, '$1\n      ').trimEnd()
