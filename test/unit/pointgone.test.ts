import { expect } from 'chai'
import { judge, type Finding } from '../../sidecar/pointgone'

describe('what a node that was restored to a restore point says of a branch that was committed after it', () => {
    const point = { xid_before: '100', xid_after: '110' }
    const cases: readonly (readonly [string | null, string | null, Finding, string])[] = [
        ['99', 'committed', 'there', 'it was prepared at the point, and is committed again'],
        ['99', 'aborted', 'gone', 'it was open at the point, and is no more'],
        ['99', null, 'not proved', 'the node has forgotten'],
        ['105', 'aborted', 'gone', 'nobody has committed under it'],
        ['105', 'open', 'gone', 'not handed out on this time line'],
        ['105', 'committed', 'not proved', 'it may be another transaction that was given the xid anew'],
        ['110', 'committed', 'gone', "another transaction's: it was handed out after the point"],
        ['4294967296', 'committed', 'gone', 'as numbers, not as texts'],
        [null, 'committed', 'not proved', 'nobody knows its xid']
    ]
    for (const [xid, status, finding, why] of cases) {
        it(`xid ${xid}, ${status}: ${finding}, as ${why}`, () => {
            expect(judge(point, xid, status)).to.equal(finding)
        })
    }
})
