/** Sums up what a run of the kill matrix measured (make matrix), as test/reports/crash-matrix.md. */
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { median } from '../../chaos/stats'
import { AT_DEFAULTS } from '../../support/world'
import type { Figure } from './figures'

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`

function cells(values: readonly number[]): string {
    return `${seconds(median(values)!)} | ${seconds(Math.max(...values))}`
}

function grouped(figures: readonly Figure[], by: (figure: Figure) => string): readonly string[] {
    const groups = new Map<string, Figure[]>()
    for (const figure of figures) groups.set(by(figure), [...(groups.get(by(figure)) ?? []), figure])
    return [...groups].map(([name, all]) => {
        const [back, crash] = (['sinceBack', 'sinceCrash'] as const).map((key) => cells(all.map((figure) => figure[key])))
        return `| ${name} | ${all.length} | ${back} | ${crash} |`
    })
}

const table = (what: string, rows: readonly string[]): readonly string[] => [
    `| ${what} | cases | back to consistent: median | worst | crash to consistent: median | worst |`,
    '|---|---|---|---|---|---|',
    ...rows,
    ''
]

const byParties = (one: Figure, other: Figure): number => one.dead.length - other.dead.length

function report(figures: readonly Figure[]): string {
    const versions = [...new Set(figures.map(({ server }) => server))].join(', ')
    return [
        '# The kill matrix',
        '',
        'Made by `make matrix`. At each named point of the protocol each party dies, and each two of them; then what died is started again,',
        'and coordinator, nodes, `outcome()` and what the client was told must agree, with no branch prepared and no line in the state files.',
        `${figures.length} cases at ${new Set(figures.map(({ point }) => point)).size} points, all of which passed.`,
        '',
        `PostgreSQL ${versions}; sidecar with ${AT_DEFAULTS.join(' ')} (its defaults); ${availableParallelism()} CPUs, ${cpus()[0]?.model ?? 'unknown'}.`,
        '',
        '*Crash to consistent* is the time from the deaths until no branch is prepared anywhere and every server has the one outcome, the restart',
        'of what died included; *back to consistent* the part of it from the moment when all that died was started again (servers',
        'accept connections, the sidecar process is launched).',
        '',
        ...table(
            'what died',
            grouped([...figures].sort(byParties), ({ dead }) => dead.join(' and '))
        ),
        ...table(
            'when',
            grouped(figures, ({ point }) => point)
        )
    ].join('\n')
}

const directory = process.argv[2]!
const figures = readFileSync(join(directory, 'crash-matrix.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Figure)
writeFileSync(join(__dirname, '..', '..', 'reports', 'crash-matrix.md'), report(figures))
