/** The breakdown in words and tables. */
import type { Breakdown, Line } from './breakdown'

const total = (lines: readonly Line[], read: (line: Line) => number): number => lines.reduce((sum, line) => sum + read(line), 0)

const top = (lines: readonly Line[], count: number): readonly Line[] => lines.filter(({ calls }) => calls >= 0.005).slice(0, count)

const inLanguage = ({ functions }: Breakdown, ...languages: readonly string[]): number =>
    total(
        functions.filter(({ language }) => languages.includes(language)),
        ({ us }) => us
    )

/** By label, per transfer. */
export function figures(found: Breakdown): readonly (readonly [label: string, value: string])[] {
    const { cell, statements, nested } = found
    const counts = cell.counts
    const each = (value: number | undefined, digits = 1): string => (value === undefined ? '–' : value.toFixed(digits))
    const nodes = (read: 'syncs' | 'received'): number | undefined => counts && counts['b']![read] + counts['c']![read]
    return [
        ['statements: coordinator, within functions too', each(total([...statements.coordinator, ...nested], ({ calls }) => calls))],
        ['statements: nodes', each(total(statements.nodes, ({ calls }) => calls))],
        ['messages in: coordinator', each(counts?.['a']?.received)],
        ['messages in: nodes', each(nodes('received'))],
        ['fsyncs: coordinator', each(counts?.['a']?.syncs, 2)],
        ['fsyncs: nodes', each(nodes('syncs'), 2)],
        ['fsyncs: sidecar', each(counts?.['sidecar']?.syncs, 2)],
        ['µs in SQL and PL/pgSQL functions', each(inLanguage(found, 'plpgsql', 'sql'), 0)],
        ['µs in dblink (waits included)', each(inLanguage(found, 'c'), 0)],
        ['CPU µs: coordinator', each(cell.cpu.coordinator, 0)],
        ['CPU µs: nodes', each(cell.cpu['node servers'], 0)],
        ['CPU µs: sidecar', each(cell.cpu.sidecar, 0)],
        ['CPU µs: client', each(cell.cpu.client, 0)]
    ]
}

const listed = (title: string, lines: readonly Line[]): string[] =>
    lines.length === 0
        ? []
        : [
              `  ${title}`,
              ...lines.map(({ what, calls, us }) => `    ${us.toFixed(0).padStart(6)} µs ${calls.toFixed(2).padStart(7)} × ${what}`)
          ]

const quoted = (text: string): string => `\`${text.replaceAll('|', '\\|').replaceAll('`', "'")}\``

const section = (title: string, lines: readonly Line[]): string =>
    lines.length === 0
        ? ''
        : [
              `| ${title} | calls | µs |`,
              '|---|---|---|',
              ...lines.map(({ what, calls, us }) => `| ${quoted(what)} | ${calls.toFixed(2)} | ${us.toFixed(0)} |`)
          ].join('\n')

/** For the report: what takes the most time. */
export const tables = (found: Breakdown): string =>
    [
        `### ${found.variant}`,
        section('function (without what it calls)', top(found.functions, 14)),
        section(
            'statement on the coordinator',
            top(
                [...found.statements.coordinator, ...found.nested].sort((a, b) => b.us - a.us),
                14
            )
        ),
        section('statement on nodes', top(found.statements.nodes, 8))
    ]
        .filter((text) => text !== '')
        .join('\n\n')

/** For the terminal. */
export function summary(found: Breakdown): string {
    return [
        `\n${found.variant}, ${found.sessions} sessions, ${found.branches} branches, per transfer:`,
        ...figures(found).map(([label, value]) => `  ${label.padEnd(48)} ${value.padStart(8)}`),
        ...listed('functions, without what they call', top(found.functions, 30)),
        ...listed('statements within functions', top(found.nested, 40)),
        ...listed(
            'statements of sessions, of the commit trigger and of the sidecar on the coordinator',
            top(found.statements.coordinator, 12)
        ),
        ...listed('statements on nodes', top(found.statements.nodes, 12))
    ].join('\n')
}
