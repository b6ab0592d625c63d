/** The kill matrix: at every named point of the protocol each party dies, and each two of them; then all must agree. */
import { expect } from 'chai'
import { FAULT_POINTS } from '../../sidecar/fault'
import { CASES } from './matrix/cases'
import { KILLED } from './matrix/parties'
import { Lanes } from './matrix/lanes'
import { POINTS } from './matrix/points'
import { SQL_FAULT_POINTS } from './support/sqlfaults'

describe('every server agrees when', () => {
    const lanes = new Lanes(CASES)
    after(async function () {
        this.timeout(180_000)
        await lanes.close()
    })
    for (const one of CASES) it(one.title, () => lanes.result(one))
})

describe('the kill matrix', () => {
    it('has every fault point of the sidecar', () =>
        expect(POINTS.flatMap(({ sidecar }) => sidecar ?? [])).to.have.members([...FAULT_POINTS]))

    it('has every fault point of the local COMMIT', () =>
        expect(POINTS.flatMap(({ sql }) => sql ?? [])).to.have.members([...SQL_FAULT_POINTS]))

    it('kills every party, and every two of them, at every point', () => {
        const missing = POINTS.flatMap((point) => {
            const deaths = CASES.filter((one) => one.point === point).map(({ dead }) => [...dead].sort().join())
            const parties = KILLED.filter((party) => party !== 'node b' || point.nodes?.includes('node b'))
            const wanted = parties.flatMap((one) => parties.map((other) => [...new Set([one, other])].sort().join()))
            return wanted.filter((dead) => !deaths.includes(dead)).map((dead) => `${dead} ${point.when}`)
        })
        expect(missing).to.deep.equal([])
    })

    it('names each case once', () => expect(new Set(CASES.map(({ title }) => title)).size).to.equal(CASES.length))
})
