/** What Prometheus would read from a running sidecar. */
import { expect } from 'chai'
import type { Sidecar } from '../support/process'

// prom-client writes NaN as "Nan", which Prometheus reads all the same.
const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?[\d.e+-]+|NaN|[+-]Inf)$/i
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)/g

export interface Sample {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly value: number
}

export class Scraped {
    readonly samples: readonly Sample[]
    readonly types: ReadonlyMap<string, string>
    readonly helps: ReadonlyMap<string, string>

    constructor(readonly text: string) {
        const of = (word: string): Map<string, string> =>
            new Map([...text.matchAll(new RegExp(`^# ${word} (\\S+) (.+)$`, 'gm'))].map(([, name, rest]) => [name!, rest!]))
        this.types = of('TYPE')
        this.helps = of('HELP')
        this.samples = text
            .split('\n')
            .filter((line) => line !== '' && !line.startsWith('#'))
            .map((line) => {
                const [, name, labels, value] = LINE.exec(line) ?? []
                expect(name, `a line of the text format: ${line}`).to.be.a('string')
                const pairs = [...(labels ?? '').matchAll(LABEL)]
                return { name: name!, labels: Object.fromEntries(pairs.map(([, key, text]) => [key!, text!])), value: Number(value) }
            })
    }

    /** The one sample with exactly these labels, or undefined. */
    value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
        const found = this.samples.filter((one) => one.name === name && sameLabels(one.labels, labels))
        expect(found.length, `${name} ${JSON.stringify(labels)}`).to.be.at.most(1)
        return found[0]?.value
    }
}

const sameLabels = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean =>
    Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([key, value]) => b[key] === value)

/** Where it serves its metrics, from its log. */
export async function metricsUrl(sidecar: Sidecar): Promise<string> {
    return / url=(\S+)$/.exec(await sidecar.waitForLog(/ metrics served /))![1]!
}

export async function scrape(sidecar: Sidecar): Promise<Scraped> {
    const answer = await fetch(await metricsUrl(sidecar))
    expect(answer.status).to.equal(200)
    expect(answer.headers.get('content-type')).to.equal('text/plain; version=0.0.4; charset=utf-8')
    return new Scraped(await answer.text())
}
