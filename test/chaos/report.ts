/** What a run says at its end. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { percentile } from './stats'
import type { Result } from './run'
import { KINDS } from './plan'

export function table({ done, sets, byHand, mixed, forced, quiet, windows, violations, seed, seconds }: Result): string {
    const kinds = KINDS.map(({ name }) => name)
        .map((name) => ({ name, of: done.filter(({ planned }) => planned.kind === name) }))
        .filter(({ of }) => of.length > 0)
    const count = (of: typeof done, result: string): number => of.filter((one) => one.result === result).length
    const rows = kinds.map(({ name, of }) => [name, count(of, 'done'), count(of, 'nothing to hit'), count(of, 'in vain')])
    const ms = (share: number): string => `${(percentile(windows, share) ?? NaN).toFixed(1)} ms`
    return [
        `${seconds} s, seed ${seed}`,
        '',
        '| fault | done | nothing to hit | in vain |',
        '|---|---|---|---|',
        ...rows.map((row) => `| ${row.join(' | ')} |`),
        '',
        '| sets | |',
        '|---|---|',
        `| client told committed | ${sets.committed} |`,
        `| client told rolled back | ${sets.rolledBack} |`,
        `| client told nothing | ${sets.notTold}, of which ${sets.notToldCommitted} committed |`,
        `| finished by hand on a node | ${byHand}, of which ${mixed} against their decision, reported as mixed |`,
        `| forced, as decided | ${forced} |`,
        `| half-committed, with all faults | p50 ${ms(0.5)}, p99 ${ms(0.99)}, worst ${ms(1)} |`,
        `| from the last heal until nothing was open | ${quiet.toFixed(1)} s |`,
        `| violations | ${violations.length} |`
    ].join('\n')
}

export const list = ({ violations }: Pick<Result, 'violations'>): string =>
    violations
        .map(
            ({ what, sets }) =>
                `VIOLATION  ${what}: ${sets.slice(0, 10).join(', ')}${sets.length > 10 ? ` and ${sets.length - 10} more` : ''}`
        )
        .join('\n')

const REPORTS = resolve(__dirname, '..', 'reports')

/** As Markdown for people, as JSON for whatever compares runs. */
export function write(result: Result, command: string): void {
    mkdirSync(REPORTS, { recursive: true })
    const { windows, done, ...rest } = result
    const verdict = result.violations.length === 0 ? 'Every server, the history and every client tell the same story.' : list(result)
    writeFileSync(join(REPORTS, 'chaos.md'), `# Chaos\n\n    ${command} REPORT=1\n\n${verdict}\n\n${table(result)}\n`)
    const figures = { p50: percentile(windows, 0.5), p99: percentile(windows, 0.99), worst: percentile(windows, 1) }
    const faults = done.map(({ planned, result: how, why }) => ({ ...planned, result: how, why }))
    writeFileSync(join(REPORTS, 'chaos.json'), `${JSON.stringify({ ...rest, halfCommitted: figures, faults })}\n`)
}
