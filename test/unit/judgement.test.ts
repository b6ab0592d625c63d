import { expect } from 'chai'
import { judge, nodeSays, type RecordSays } from '../../sidecar/judgement'

const here = '00000002'
const answer = (state: string | null, prepared = false, timeline: string | undefined = here) => ({ timeline, state, prepared })

describe('what a node says of a branch', () => {
    it('proves something of a commit only on the time line on which the branch was prepared', () => {
        expect(nodeSays(here, answer('committed'))).to.equal('committed')
        expect(nodeSays('00000001', answer('committed'))).to.equal('on another time line: cannot tell')
        expect(nodeSays(null, answer('committed'))).to.equal('on another time line: cannot tell')
    })

    it('proves on every time line that what is there now is without the branch', () => {
        for (const timeline of [here, '00000001']) {
            expect(nodeSays(timeline, answer('aborted'))).to.equal('rolled back')
            expect(nodeSays(timeline, answer('open'))).to.equal('nothing of it')
            expect(nodeSays(timeline, answer('in progress'))).to.equal('nothing of it')
            expect(nodeSays(timeline, answer('in progress', true))).to.equal('prepared')
        }
    })

    it('proves nothing once the server has thrown the status away, and on a standby', () => {
        expect(nodeSays(here, answer(null))).to.equal('too long ago to tell')
        for (const state of ['committed', 'aborted', 'open', null])
            expect(nodeSays(here, { timeline: undefined, state, prepared: true })).to.equal('it is a standby')
    })
})

describe('record and node', () => {
    const table: Readonly<Record<RecordSays, readonly string[]>> = {
        committed: ['agrees', 'disagrees', 'disagrees', 'disagrees'],
        'rolled back': ['disagrees', 'agrees', 'disagrees', 'agrees'],
        unknown: ['not proved', 'not proved', 'not proved', 'not proved'],
        'to be committed': ['agrees', 'disagrees', 'waits', 'disagrees'],
        'to be rolled back': ['disagrees', 'agrees', 'waits', 'agrees']
    }
    for (const [record, findings] of Object.entries(table))
        it(`of a branch that the record calls ${record}`, () => {
            const said = ['committed', 'rolled back', 'prepared', 'nothing of it'].map((node) => judge(record as RecordSays, node))
            expect(said).to.deep.equal(findings)
        })

    it('are never said to agree or to disagree where the node could not tell', () => {
        for (const node of [
            'on another time line: cannot tell',
            'too long ago to tell',
            'it is a standby',
            'it does not answer',
            'it is no node any more',
            'its xid was not recorded'
        ])
            for (const record of Object.keys(table)) expect(judge(record as RecordSays, node), node).to.equal('not proved')
    })
})
