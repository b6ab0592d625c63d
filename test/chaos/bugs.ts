/**
 * Bugs, put into a copy of the program, to see that a chaos run finds them: production code has no switch for any of them. A
 * patch that does not apply exactly once is an error, so that none goes stale unseen.
 */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { buildOnce, useProgram } from '../support/process'
import { workDir } from '../support/workdir'
import type { Planned } from './plan'

interface Bug {
    readonly what: string
    readonly file: string
    readonly from: string
    readonly to: string
    /** What is sure to bring it out within a few seconds. */
    readonly plan: readonly Planned[]
}

const ROOT = resolve(__dirname, '..', '..')

/** The same fault over and over, on each of these in turn. */
const often = (kind: string, every: number, lasts: number, ...on: readonly string[]): readonly Planned[] =>
    Array.from({ length: 6 }, (_, n) => ({ at: 1000 + n * every, kind, on: on[n % on.length]!, lasts, roll: 98 }))

export const BUGS: Readonly<Record<string, Bug>> = {
    '42704-is-success': {
        what: 'a branch that is not prepared any more is taken for committed, without a look at its fate',
        file: 'dist/resolver.js',
        from: 'await this.lookUp(node, branch, answer.problem);',
        to: "this.finished(branch, 'committed');",
        plan: often('branch rolled back by hand', 2000, 1000, 'sidecar')
    },
    'running-is-rolled-back': {
        what: 'a branch without a commit record is rolled back though its local transaction still runs (F is not looked at)',
        file: 'sql/sidecar/_decide.sql',
        from: "else 'running' end",
        to: "else 'rollback' end",
        plan: often('link slow', 2000, 1500, 'c', 'd')
    },
    'sent-before-written': {
        what: 'COMMIT PREPARED is sent before the decision is in the state files',
        file: 'dist/resolver.js',
        from: 'await this.parts.state.append(',
        to: '((events) => void setTimeout(() => void this.parts.state.append(events), 100))(',
        plan: often('client killed', 1500, 0, 'clients')
    },
    'lost-answer-is-success': {
        what: 'a COMMIT PREPARED whose answer was lost with the connection is taken for carried out',
        file: 'dist/finisher.js',
        from: 'answer({ ok: false, problem: problem.sqlstate === NOT_ALLOWED ? (worker.refused ?? problem) : problem });',
        to: "answer(problem.trouble === 'unknown' ? { ok: true } : { ok: false, problem });",
        plan: often('COMMIT PREPARED or its answer lost', 1200, 300, 'b', 'c', 'd')
    }
}

/** Has everything that is started from here on be a copy with this bug. */
export function plant(name: string): Bug {
    const bug = BUGS[name]
    if (bug === undefined) throw new Error(`no bug is called ${name}: there are ${Object.keys(BUGS).join(', ')}`)
    buildOnce()
    const copy = join(workDir(), `bug-${name}`)
    mkdirSync(copy)
    for (const part of ['dist', 'sql', 'package.json']) cpSync(join(ROOT, part), join(copy, part), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
    const path = join(copy, bug.file)
    const parts = readFileSync(path, 'utf8').split(bug.from)
    if (parts.length !== 2) throw new Error(`bug ${name}: its place was found ${parts.length - 1} times in ${bug.file}, not once`)
    writeFileSync(path, parts.join(bug.to))
    useProgram(join(copy, 'dist', 'main.js'))
    return bug
}

/** Back to the program as it is. */
export const uproot = (): void => useProgram(undefined)
