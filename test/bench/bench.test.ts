import { expect } from 'chai'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Breakdown } from './breakdown'
import type { Options } from './options'
import { Report } from './report'
import type { Measured } from './result'
import { run } from './run'
import { VARIANTS } from './variants'

const names = VARIANTS.map(({ name }) => name)

// The run itself fails when a sum is wrong, a branch is left prepared or a set is not complete.
describe('the benchmark', () => {
    const directory = mkdtempSync(join(tmpdir(), 'pgx-bench-'))
    const points: Measured[] = []
    const breakdowns: Breakdown[] = []

    before(async function () {
        this.timeout(300_000)
        const point = { sessions: 2, branches: 2, variants: names }
        const options: Options = {
            points: [
                { ...point, fsyncMs: 0 },
                { ...point, branches: 3, fsyncMs: 0.1, variants: ['hand-rolled', 'exec', 'enlist'] }
            ],
            rounds: 1,
            seconds: 0.3,
            warmupSeconds: 0.05,
            clients: 2,
            keep: false,
            report: directory,
            breakdown: true,
            command: 'make bench'
        }
        const report = new Report(options)
        await run(options, {
            began: () => undefined,
            cell: () => undefined,
            point: (measured) => {
                points.push(measured)
                report.add(measured)
            },
            breakdown: (found) => {
                breakdowns.push(found)
                report.addBreakdown(found)
            }
        })
    })
    after(() => rmSync(directory, { recursive: true, force: true }))

    it('moves money with every variant', () => {
        const [cells] = points[0]!.cells
        expect(cells!.map(({ variant }) => variant)).to.deep.equal(names)
        for (const { variant, transfers } of cells!) expect(transfers, variant).to.be.at.least(2)
    })

    it('finds the half-committed window of every variant that decides and then commits', () => {
        const decide = VARIANTS.filter(({ decisions }) => decisions).map(({ name }) => name)
        const found = points[0]!.cells[0]!.filter(({ window }) => window !== undefined).map(({ variant }) => variant)
        expect(found).to.deep.equal(decide)
    })

    it('counts fsyncs, messages, statements and functions of a set', function () {
        const exec = breakdowns.find(({ variant }) => variant === 'exec')!
        expect(exec.functions.map(({ what }) => what)).to.include.members(['pglobalxact.exec', 'pglobalxact._prepare_set'])
        expect(exec.statements.nodes.some(({ what, calls }) => /^commit prepared/i.test(what) && calls > 0)).to.equal(true)
        // Without gcc there is no library that counts.
        if (!exec.cell.counts) this.skip()
        for (const server of ['a', 'b', 'c']) {
            expect(exec.cell.counts[server]!.syncs, server).to.be.above(0)
            expect(exec.cell.counts[server]!.received, server).to.be.above(0)
        }
        expect(exec.cell.counts['sidecar']!.syncs).to.be.above(0)
    })

    it('writes a report, a plot and the figures', () => {
        const text = readFileSync(join(directory, 'bench.md'), 'utf8')
        for (const name of names) expect(text).to.contain(`| ${name} |`)
        expect(text).to.contain('## Breakdown of one set')
        expect(readFileSync(join(directory, 'bench.svg'), 'utf8')).to.match(/^<svg [^]*<\/svg>\n$/)
        expect(JSON.parse(readFileSync(join(directory, 'bench.json'), 'utf8'))).to.have.keys('points', 'breakdowns')
    })
})
