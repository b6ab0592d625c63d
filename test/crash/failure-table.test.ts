/** The README's table "What crashed, what you see, what to do": behind each of its rows stands a test that does it. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect } from 'chai'
import { POINTS } from './matrix/points'

const ROOT = resolve(__dirname, '..', '..')

/** Points of the kill matrix by their names, or a file below test/ with words of a title in it. */
const PROOFS: Readonly<Record<string, readonly (string | { readonly file: string; readonly title: string })[]>> = {
    'a session, before its `PREPARE`s': ['before prepares'],
    'a session, between or after its `PREPARE`s, before its local commit': [
        'between prepares',
        'answers unread',
        'after prepares',
        'before local commit'
    ],
    'a session, after its local commit': ['after the local commit, before its client hears', 'before state line'],
    'the coordinator (`immediate` stop, crash), before the local commit was on disk': ['before prepares', 'after prepares'],
    'the coordinator, after that': ['when the local commit is on disk and nobody sees it yet', 'before state line', 'after state line'],
    'the sidecar, before it wrote the state line': ['before state line'],
    'the sidecar, after the state line, between two `COMMIT PREPARED`, or before it wrote back': [
        'after state line',
        'between commits',
        'before write-back'
    ],
    'a node is stopped, or crashed': [
        'between prepares',
        'commit unread',
        { file: 'crash/node-lost', title: 'keeps the set on the books' }
    ],
    'a node is cut off, without a word': [{ file: 'crash/support/strikes', title: 'is cut off without a reset' }],
    "a node's disk is full": [{ file: 'crash/node-full', title: 'dies at COMMIT PREPARED' }],
    'a node has no free slot for prepared transactions': [{ file: 'crash/node-full', title: 'with its last prepared slot taken' }],
    'the coordinator fails over': [{ file: 'crash/failover', title: 'with synchronous replication loses nothing' }],
    '... and its standby had not received everything': [{ file: 'crash/failover', title: 'a set the standby never heard of' }],
    'a node fails over': [{ file: 'crash/failover', title: 'with a decided branch prepared there' }],
    '... and its standby had not received the `PREPARE`': [
        { file: 'crash/fate', title: 'when its node was restored to before its PREPARE' }
    ],
    'the state directory is lost': [{ file: 'sidecar/home', title: 'adopt(reason) lets the waiting one act' }],
    "the state directory's disk is full, or turned read-only": [{ file: 'sidecar/state-dir', title: 'that is full' }],
    'a state file is torn': [{ file: 'sidecar/state-dir', title: 'with a last line torn by a crash' }],
    'someone typed `ROLLBACK PREPARED` by hand': [{ file: 'crash/fate', title: 'when someone rolled it back by hand' }]
}

function rows(): readonly string[] {
    const [, table] = readFileSync(join(ROOT, 'README.md'), 'utf8').split('| what crashed | what you see | what to do |\n')
    return table!
        .slice(table!.indexOf('\n') + 1, table!.indexOf('\n\n'))
        .split('\n')
        .map((row) => row.split(' | ')[0]!.slice(2))
}

const names = POINTS.flatMap(({ when, sql, sidecar }) => [when, sql, sidecar])

describe("the README's failure table", () => {
    it('has no row without a proof, and no proof without a row', () => expect(rows()).to.have.members(Object.keys(PROOFS)))

    for (const [row, proofs] of Object.entries(PROOFS)) {
        it(`is kept true by tests: ${row}`, () => {
            for (const proof of proofs) {
                if (typeof proof === 'string') expect(names).to.include(proof)
                else {
                    const path = ['.test.ts', '.ts'].map((end) => join(ROOT, 'test', proof.file + end))
                    const text = path.map(readIfThere).join('')
                    expect(text, proof.file).to.include(proof.title)
                }
            }
        })
    }
})

function readIfThere(path: string): string {
    try {
        return readFileSync(path, 'utf8')
    } catch {
        return ''
    }
}
