import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { expect } from 'chai'
import { parse, stringify } from 'yaml'
import { Metrics } from '../../sidecar/metrics'
import { Tally } from '../../sidecar/tally'

const ROOT = resolve(__dirname, '..', '..')
const RULES = join(ROOT, 'packaging', 'prometheus', 'pglobalxact.rules.yml')
const read = (...path: string[]): string => readFileSync(join(ROOT, ...path), 'utf8')

interface Rule {
    readonly alert: string
    readonly expr: string
    readonly for?: string
    readonly labels: Readonly<Record<string, string>>
    readonly annotations: Readonly<Record<string, string>>
}

interface Panel {
    readonly type: string
    readonly title: string
    readonly description?: string
    readonly datasource?: { readonly uid: string }
    readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
    readonly targets?: readonly { readonly expr: string; readonly refId: string; readonly datasource: { readonly uid: string } }[]
}

/** Metric names in PromQL: what is neither a label, nor a function, nor a string. */
const namesIn = (expr: string): string[] =>
    [...expr.replaceAll(/"[^"]*"/g, '""').matchAll(/\b(?:pglobalxact|process|nodejs)_\w+/g)].map(([name]) => name)

function promtool(this: Mocha.Context, args: readonly string[]): void {
    const { error, status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' })
    if (error !== undefined) {
        console.error('    SKIPPED, nothing is proved: promtool (Debian: apt install prometheus) is not installed')
        return this.skip()
    }
    expect(status, stdout + stderr).to.equal(0)
}

describe('the monitoring', () => {
    const tally = new Tally()
    new Metrics(tally, () => ({
        version: '',
        coordinatorUp: true,
        acting: true,
        state: undefined,
        resolver: undefined,
        keepers: [],
        figures: undefined
    }))
    const metrics = tally.registry.getMetricsAsArray().map((metric) => ({
        name: metric.name,
        help: metric.help,
        type: metric.type as unknown as string,
        labels: (metric as unknown as { labelNames: readonly string[] }).labelNames
    }))
    const ours = metrics.filter(({ name }) => name.startsWith('pglobalxact_'))
    const known = new Set(
        metrics.flatMap(({ name, type }) => (type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name]))
    )
    const rules = (
        parse(read('packaging', 'prometheus', 'pglobalxact.rules.yml')) as { groups: readonly { name: string; rules: readonly Rule[] }[] }
    ).groups
    const alerts = rules.flatMap((group) => group.rules)
    const dashboard = JSON.parse(read('packaging', 'grafana', 'pglobalxact.json')) as {
        readonly uid: string
        readonly schemaVersion: number
        readonly templating: { readonly list: readonly { readonly name: string; readonly type: string; readonly query: unknown }[] }
        readonly panels: readonly Panel[]
    }

    it('names metrics as Prometheus wants them: base units, _total for counters and nothing else', () => {
        expect(ours.length).to.be.greaterThan(25)
        for (const { name, help, type } of ours) {
            expect(name).to.match(/^[a-z][a-z0-9_]+$/)
            expect(name.endsWith('_total'), name).to.equal(type === 'counter')
            expect(name).to.not.match(/_(milliseconds|ms|minutes|kb|percent)\b/)
            expect(help, name).to.match(/^[^\n]{30,}[.;]$/)
            if (type === 'histogram') expect(name).to.match(/_(seconds|lines)$/)
        }
    })

    it('labels by node, phase and short lists of words only', () => {
        for (const { name, labels } of ours)
            for (const label of labels)
                expect(label, name).to.be.oneOf(['node', 'phase', 'fate', 'class', 'outcome', 'kind', 'result', 'version'])
    })

    it('is documented, metric by metric, with labels, type and meaning', () => {
        const [, table] = /<!-- metrics: begin -->([^]*)<!-- metrics: end -->/.exec(read('docs', 'monitoring.md')) ?? []
        const rows = table!
            .split('\n')
            .filter((line) => line.startsWith('| `'))
            .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')))
        const expected = ours.map(({ name, labels, type, help }) => [
            `\`${name}\``,
            labels.map((label) => `\`${label}\``).join(' '),
            type,
            help
        ])
        expect(rows).to.deep.equal(expected)
    })

    it('has alert rules that are whole: expression, severity, summary, and what to type first', () => {
        expect(Object.keys(parse(read('packaging', 'prometheus', 'pglobalxact.rules.yml')) as object)).to.deep.equal(['groups'])
        const functions = readdirSync(join(ROOT, 'sql', 'functions')).map((file) => file.replace('.sql', ''))
        expect(alerts.length).to.be.greaterThan(15)
        expect(new Set(alerts.map(({ alert }) => alert)).size).to.equal(alerts.length)
        for (const rule of alerts) {
            expect(
                Object.keys(rule).filter((key) => key !== 'for'),
                rule.alert
            ).to.deep.equal(['alert', 'expr', 'labels', 'annotations'])
            expect(rule.alert).to.match(/^Pglobalxact[A-Za-z]+$/)
            expect(rule.for ?? '1m', rule.alert).to.match(/^[1-9]\d*[smh]$/)
            expect(rule.labels, rule.alert).to.have.all.keys('severity')
            expect(rule.labels['severity'], rule.alert).to.be.oneOf(['critical', 'warning', 'info'])
            expect(rule.annotations, rule.alert).to.have.all.keys('summary', 'description')
            expect(rule.annotations['description'], rule.alert).to.match(/First.* psql.*select .*pglobalxact\.\w+\(.*\);/)
            const called = [...rule.annotations['description']!.matchAll(/pglobalxact\.(\w+)\(/g)].map(([, name]) => name!)
            for (const name of called) expect(functions, rule.alert).to.include(name)
            expect(namesIn(rule.expr).length + Number(rule.expr.startsWith('up{')), rule.alert).to.be.greaterThan(0)
        }
    })

    it('has alert rules and a dashboard that use metrics which exist, and every one of ours in one of them', () => {
        const used = new Map<string, string>()
        for (const { alert, expr } of alerts) for (const name of namesIn(expr)) used.set(name, alert)
        for (const { title, targets = [] } of dashboard.panels)
            for (const { expr } of targets) for (const name of namesIn(expr)) used.set(name, title)
        for (const [name, where] of used) expect(known.has(name), `${name}, used in ${where}`).to.equal(true)
        const unused = ours.filter(
            ({ name }) => ![...used.keys()].some((one) => one === name || one.replace(/_(bucket|sum|count)$/, '') === name)
        )
        expect(unused.map(({ name }) => name)).to.deep.equal([])
    })

    it('documents every alert with its delay and severity, and no other', () => {
        const rows = [...read('docs', 'monitoring.md').matchAll(/^\| (Pglobalxact\w+) \| .* \| (\w+) \| (\w+) \| .* \|$/gm)]
        expect(rows.map(([, ...cells]) => cells)).to.deep.equal(
            alerts.map((rule) => [rule.alert, rule.for ?? '0m', rule.labels['severity']])
        )
    })

    it('tells in the documents the kinds of alerts that the database sends, all of them', () => {
        const source = read('sql', 'internal', '_alert.sql')
        const kinds = [.../new\.kind in \((.*)\)/.exec(source)![1]!.matchAll(/'([^']+)'/g)].map(([, kind]) => kind!)
        const documented = [...read('docs', 'monitoring.md').matchAll(/^\| `([a-z ]+)` \| .* \| .*\|$/gm)].map(([, kind]) => kind!)
        expect(documented).to.deep.equal(kinds)
    })

    it('has a dashboard whose data source is a variable everywhere, and whose panels do not overlap', () => {
        const [first] = dashboard.templating.list
        expect(first).to.include({ name: 'datasource', type: 'datasource', query: 'prometheus' })
        expect(dashboard.schemaVersion).to.be.within(36, 39) // Grafana 10 migrates from there; 11 and later read it too
        const taken = new Map<string, string>()
        for (const panel of dashboard.panels) {
            const { h, w, x, y } = panel.gridPos
            for (let column = x; column < x + w; column++)
                for (let line = y; line < y + h; line++) {
                    expect(column, panel.title).to.be.below(24)
                    expect(taken.get(`${column} ${line}`), `${panel.title} is over`).to.equal(undefined)
                    taken.set(`${column} ${line}`, panel.title)
                }
            if (panel.type === 'row') continue
            expect(panel.datasource?.uid, panel.title).to.equal('${datasource}')
            expect(panel.description?.length, panel.title).to.be.greaterThan(8)
            expect(panel.targets?.length, panel.title).to.be.greaterThan(0)
            for (const target of panel.targets!) {
                expect(target.datasource.uid, panel.title).to.equal('${datasource}')
                expect(target.expr.match(/\{/g)?.length, panel.title).to.equal(
                    target.expr.match(/job=~"\$job", instance=~"\$instance"\}/g)?.length
                )
            }
        }
    })

    it('has a dashboard whose every expression promtool can read', function () {
        const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
        const rules = expressions.map((expr, at) => ({ record: `panel:${at}`, expr: expr.replaceAll(/\$__\w+/g, '5m') }))
        const file = join(mkdtempSync(join(tmpdir(), 'dashboard-')), 'rules.yml')
        try {
            writeFileSync(file, stringify({ groups: [{ name: 'dashboard', rules }] }))
            promtool.call(this, ['check', 'rules', '--lint=none', file])
        } finally {
            rmSync(dirname(file), { recursive: true })
        }
    })

    for (const args of [
        ['check', 'rules', RULES],
        ['test', 'rules', join(ROOT, 'test', 'unit', 'pglobalxact.rules.test.yml')]
    ]) {
        it(`passes promtool ${args[0]} rules`, function () {
            promtool.call(this, args)
        })
    }
})
