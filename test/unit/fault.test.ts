import { expect } from 'chai'
import { createFaultPoints, FAULT_POINTS, type FaultPoint } from '../../sidecar/fault'

describe('the fault points', () => {
    it('cost nothing and stop nothing when none is named', async () => {
        const points = createFaultPoints('', () => {
            throw new Error('stopped')
        })
        for (const point of FAULT_POINTS) {
            expect(points.armed(point)).to.equal(false)
            await points.at(point)
        }
    })

    for (const name of FAULT_POINTS) {
        it(`stop at "${name}", once, and wait until they are continued`, async () => {
            const stopped: FaultPoint[] = []
            let proceed = (): void => undefined
            const points = createFaultPoints(name, (point) => {
                stopped.push(point)
                return new Promise((done) => (proceed = done))
            })
            for (const point of FAULT_POINTS) expect(points.armed(point)).to.equal(point === name)
            for (const point of FAULT_POINTS) if (point !== name) await points.at(point)
            expect(stopped).to.deep.equal([])
            let passed = false
            const standing = points.at(name).then(() => (passed = true))
            await points.at(name)
            expect([stopped, passed, points.armed(name)]).to.deep.equal([[name], false, false])
            proceed()
            await standing
            expect(stopped).to.deep.equal([name])
        })
    }
})
