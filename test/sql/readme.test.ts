/**
 * The documents show what a real psql shows. PGLOBALXACT_RECORD=1 writes what it shows into them; without it a
 * difference is a failure. test/readme/document.ts says how a transcript is written.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { acts, parse, rename, render, skeleton, type Item, type Typed } from '../readme/document'
import { Stage } from '../readme/stage'
import { runCommand } from '../support/process'
import { requirePsql } from '../support/psql'
import { requireMounts } from '../crash/support/mounts'

const ROOT = resolve(__dirname, '..', '..')
const DOCS = existsSync(join(ROOT, 'docs'))
    ? readdirSync(join(ROOT, 'docs'))
          .filter((name) => name.endsWith('.md'))
          .sort()
    : []
const RECORD = process.env['PGLOBALXACT_RECORD'] === '1'

const ACTS = (
    'exec query enlist await force_\\w+ forget pause resume drain drill add_node remove_node lose_node acknowledge adopt allow_home transfer ' +
    'export_snapshots release_snapshots watch_node unwatch_node add_consumer remove_consumer next_events finish_events keep_clock stop_clock ' +
    'detect_deadlocks create_restore_point reconcile'
).split(' ')
/** Looking does no harm: what it is to show may take a moment, so it is typed again until it does. */
const LOOK = new RegExp(`^(?:(?:journalctl|df|ls|systemctl is-active) |(?:select|table) (?![\\s\\S]*(${ACTS.join('|')})\\())`)
const NEEDS_MOUNTS = /disk/
const PATIENCE_MS = RECORD ? 8_000 : 45_000 // longer than the longest wait between two tries
/** For what is recorded for the first time, nobody knows yet what is to be seen. */
const FIRST_LOOK_MS = 2_000

describe('the documents', () => {
    for (const document of ['README.md', ...DOCS.map((name) => join('docs', name))]) {
        const all = acts(parse(readFileSync(join(ROOT, document), 'utf8')))
        for (const [number, { title, items }] of all.entries()) {
            it(`${document}${all.length > 1 ? `, "${title}"` : ''}: psql shows what the transcripts show`, async function () {
                requirePsql.call(this)
                if (items.some((item) => item.kind === 'event' && NEEDS_MOUNTS.test(item.what))) requireMounts.call(this)
                this.timeout(180_000)
                const stage = new Stage()
                try {
                    const seen = await follow(stage, items, document)
                    if (RECORD) record(document, number, seen)
                } finally {
                    await stage.close()
                }
            })
        }
    }

    it('docs/reference.md has every public function with the parameters it takes', () => {
        const reference = readFileSync(join(ROOT, 'docs', 'reference.md'), 'utf8')
        for (const file of readdirSync(join(ROOT, 'sql', 'functions'))) {
            const source = readFileSync(join(ROOT, 'sql', 'functions', file), 'utf8')
            const [, name, parameters] = /create or replace function pglobalxact\.(\w+)\((.*)\)$/m.exec(source) ?? []
            expect(name, file).to.be.a('string')
            expect(reference).to.include(`### ${name}(${parameters})`)
        }
    })

    it('README.md names every option of the sidecar', async () => {
        const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
        const { stdout } = await runCommand(['--help'])
        const options = [...stdout.matchAll(/^ {2}(--[\w-]+) /gm)].map(([, flag]) => flag!)
        expect(options).to.include('--state-dir')
        for (const flag of options) expect(readme).to.include(`\`${flag}`)
    })
})

/** Writes one act into the document, which may have got another one since it was read. */
function record(document: string, number: number, seen: readonly Item[]): void {
    const path = join(ROOT, document)
    const all = acts(parse(readFileSync(path, 'utf8'))).map(({ items }, at) => (at === number ? seen : items))
    writeFileSync(path, render(all.flat()))
}

/** Does what the document says, and returns it with the answers that came. */
async function follow(stage: Stage, items: readonly Item[], document: string): Promise<Item[]> {
    const names = new Map<string, string>()
    const seen: Item[] = []
    for (const item of items) {
        if (item.kind === 'event') await stage.happen(item.what)
        seen.push(item.kind === 'typed' ? await type(stage, item, names, document) : item)
    }
    return seen
}

async function type(stage: Stage, item: Typed, names: Map<string, string>, document: string): Promise<Typed> {
    const expected = skeleton(item.answer)
    const sql = rename(item.lines.join('\n'), names)
    const deadline = Date.now() + (RECORD && expected.shape === '' ? FIRST_LOOK_MS : PATIENCE_MS)
    let answer = await stage.type(item.session, sql)
    while (skeleton(answer).shape !== expected.shape && LOOK.test(sql) && Date.now() < deadline) {
        await sleep(100)
        answer = await stage.type(item.session, sql)
    }
    const real = skeleton(answer)
    if (RECORD) {
        for (const [index, name] of expected.names.entries()) if (!names.has(name)) names.set(name, real.names[index] ?? name)
        return { ...item, lines: sql.split('\n'), answer: ended(answer) }
    }
    if (real.shape !== expected.shape) console.error(['its sidecar:', ...(stage.bank.sidecar?.logs.slice(-12) ?? [])].join('\n'))
    expect(real.shape, `${document}, line ${item.lineNumber}: ${item.lines.join(' ')}`).to.equal(expected.shape)
    for (const [index, name] of expected.names.entries()) {
        // One name in the document is one thing on the servers, from its first appearance to the last.
        const known = names.get(name) ?? real.names[index]!
        expect(real.names[index], `${document}, line ${item.lineNumber}: what it calls ${name}`).to.equal(known)
        names.set(name, known)
    }
    return item
}

/** psql leaves an empty line behind a table. */
const ended = (answer: readonly string[]): readonly string[] =>
    /^\(\d+ rows?\)$/.test(answer.at(-1) ?? '') ? [...answer, ''] : answer.filter((line) => line !== '')
