import { execFile, spawnSync } from 'node:child_process'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Run } from './protections'

export interface Verdict {
    readonly errors: number
    /** What the checker complained about; empty when it found nothing. */
    readonly complaint: string
    readonly states: number
    readonly depth: number
    readonly seconds: number
    /** Statements of the model that no state came to: a model that stands still proves nothing. */
    readonly unreached: readonly string[]
    /** The last steps of the way to the error. */
    readonly trail: string
}

const DEPTH = 2_000_000 // steps; a search cut off at it is an error here
const FAIRNESS = '-DNFAIR=3' // room for weak fairness among up to 22 processes
const LAST_STEPS = 60

/** True where spin and a C compiler are installed. */
export const installed = (): boolean => ['spin', 'gcc'].every((tool) => spawnSync(tool, ['--version']).error === undefined)

/** Checks one model exhaustively, in a directory of its own that is gone afterwards. */
export async function check(run: Run, optimise: boolean): Promise<Verdict> {
    const directory = await mkdtemp(join(tmpdir(), 'pgx-model-'))
    try {
        const file = `${run.model}.pml`
        await copyFile(join(__dirname, file), join(directory, file))
        const macros = run.with.map((macro) => `-D${macro}`)
        await tool(directory, 'spin', ['-a', ...macros, file])
        const kind = run.checks === 'safety' ? ['-DSAFETY'] : [FAIRNESS]
        await tool(directory, 'gcc', [optimise ? '-O2' : '-O0', '-w', ...kind, '-o', 'pan', 'pan.c'])
        const started = performance.now()
        const said = await tool(directory, './pan', [`-m${DEPTH}`, '-b', ...(run.checks === 'safety' ? [] : ['-a', '-f'])])
        const seconds = (performance.now() - started) / 1000
        const verdict = read(said)
        const trail = verdict.errors > 0 ? await tool(directory, 'spin', ['-t', '-p', '-g', ...macros, file]).catch(String) : ''
        return { ...verdict, seconds, trail: trail.split('\n').slice(-LAST_STEPS).join('\n') }
    } finally {
        await rm(directory, { recursive: true, force: true })
    }
}

function read(said: string): Omit<Verdict, 'seconds' | 'trail'> {
    const found = /State-vector.*depth reached (\d+).*errors: (\d+)/.exec(said)
    const states = /^ *([\d.e+]+) states, stored/m.exec(said)
    if (found === null || states === null) throw new Error(`the checker did not come to an end:\n${said}`)
    return {
        errors: Number(found[2]),
        complaint: /^pan:\d+: (.*)$/m.exec(said)?.[1] ?? '',
        states: Number(states[1]),
        depth: Number(found[1]),
        unreached: [...said.matchAll(/^\s+(\S+\.pml:\d+, state \d+, "(?!-end-).*")$/gm)].map((line) => line[1]!)
    }
}

/** What the tool prints. pan exits with 0 whatever it finds; whoever fails otherwise says why. */
function tool(directory: string, name: string, args: readonly string[]): Promise<string> {
    return new Promise((done, fail) => {
        execFile(name, args, { cwd: directory, maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
            if (error === null) done(stdout)
            else fail(new Error(`${name} ${args.join(' ')}: ${error.message}\n${stdout.slice(-2000)}${stderr.slice(-2000)}`))
        })
    })
}
