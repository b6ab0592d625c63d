/** test/reports/scale.md from test/reports/scale.json: parts that are measured anew replace their former selves, the others stay. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { arch, cpus, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import type { Figure, Part } from './figures'

const REPORTS = resolve(__dirname, '..', '..', 'reports')
const JSON_FILE = join(REPORTS, 'scale.json')

export function keep(parts: readonly Part[], order: readonly string[]): string {
    mkdirSync(REPORTS, { recursive: true })
    const before: readonly Part[] = existsSync(JSON_FILE) ? (JSON.parse(readFileSync(JSON_FILE, 'utf8')) as readonly Part[]) : []
    const all = new Map([...before, ...parts].map((part) => [part.item, part]))
    const sorted = order.flatMap((item) => all.get(item) ?? [])
    writeFileSync(JSON_FILE, `${JSON.stringify(sorted, undefined, 1)}\n`)
    const path = join(REPORTS, 'scale.md')
    writeFileSync(path, markdown(sorted))
    return path
}

export const missed = (parts: readonly Part[]): number => parts.flatMap(({ figures }) => figures).filter(({ met }) => met === false).length

const markdown = (parts: readonly Part[]): string => `# At scale

    make bench-scale

All on one machine: ${cpus().length} processors (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 1024 ** 3)} GB, ${process.platform} ${arch()},
Node.js ${process.versions.node}; servers with fsync on. Medians, with the least and greatest of all rounds behind them.

${parts.map(section).join('\n')}`

const section = ({ title, how, figures, at }: Part): string => `## ${title}

${how} Measured ${at.slice(0, 16).replace('T', ' ')} UTC.

| | measured | target | |
|---|---|---|---|
${figures.map(row).join('\n')}
`

const row = ({ what, measured, target, met }: Figure): string =>
    `| ${what} | ${measured} | ${target ?? ''} | ${met === undefined ? '' : met ? 'met' : '**missed**'} |`
