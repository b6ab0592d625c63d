/** What a run says at its end. */
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
