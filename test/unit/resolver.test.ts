import { expect } from 'chai'
import type { Catalog } from '../../sidecar/catalog'
import { createFaultPoints } from '../../sidecar/fault'
import type { Answer } from '../../sidecar/finisher'
import { createLog } from '../../sidecar/log'
import type { Node } from '../../sidecar/node'
import type { DecidedSet, FateRow } from '../../sidecar/records'
import { Resolver } from '../../sidecar/resolver'
import type { StateFile } from '../../sidecar/statefile'
import { Tally } from '../../sidecar/tally'

const SET: DecidedSet = {
    xid: '7',
    nonce: 'cafe0123',
    outcome: null,
    branches: [{ node: 1, xid: '70', timeline: '00000001', owner: 'app', fate: null, forced: null }]
}

describe('the resolver', () => {
    it('notes the fate of the order that was answered, though a person ordered the other way meanwhile', async () => {
        const sent: { action: string; answer(answer: Answer): void }[] = []
        const node = { up: true, finish: (action: string) => new Promise<Answer>((answer) => sent.push({ action, answer })) }
        const state = { append: () => Promise.resolve(), note: () => undefined }
        const told: FateRow[] = []
        const catalog = { finish: (fates: readonly FateRow[]) => Promise.resolve(void told.push(...fates)) }
        const resolver = new Resolver({
            state: state as unknown as StateFile,
            nodes: new Map([[1, node as unknown as Node]]),
            log: createLog(() => undefined),
            tally: new Tally(),
            journal: { note: () => undefined },
            fault: createFaultPoints('', () => Promise.resolve()),
            coordinator: '0a1b2c3d',
            retryCap: 1000,
            catalog: () => catalog as unknown as Catalog
        })
        resolver.start()
        const decided = resolver.decide([SET], () => 'postgresql://b')
        const branch = resolver.find('7_cafe0123', 1)!
        while (sent.length === 0) await new Promise((done) => setImmediate(done))
        branch.action = 'rollback'
        sent[0]!.answer({ ok: true })
        await decided
        expect([sent.map(({ action }) => action), branch.fate]).to.deep.equal([['commit'], 'committed'])
        await resolver.writeBack()
        expect(told, 'a set that is complete and committed says it all').to.deep.equal([])
    })

    it("puts off the first try of a drill's canary until its node's next look after that, and of no other set", async () => {
        const sent: string[] = []
        const finish = (_: string, gid: string): Promise<Answer> => {
            sent.push(gid)
            return Promise.resolve({ ok: true })
        }
        const resolver = new Resolver({
            state: { append: () => Promise.resolve(), note: () => undefined } as unknown as StateFile,
            nodes: new Map([[1, { up: true, finish } as unknown as Node]]),
            log: createLog(() => undefined),
            tally: new Tally(),
            journal: { note: () => undefined },
            fault: createFaultPoints('', () => Promise.resolve()),
            coordinator: '0a1b2c3d',
            retryCap: 1000,
            catalog: () => undefined
        })
        resolver.start()
        resolver.postponed.set('7_cafe0123', 3_600_000)
        await resolver.decide([SET, { ...SET, xid: '8' }], () => 'postgresql://b')
        expect(sent).to.deep.equal(['pgx_0a1b2c3d_8_cafe0123_1'])
        await resolver.sweep(1, false)
        expect(sent, 'not due').to.have.lengthOf(1)
        resolver.find('7_cafe0123', 1)!.nextTry = 0
        await resolver.sweep(1, false)
        expect(sent.at(-1)).to.equal('pgx_0a1b2c3d_7_cafe0123_1')
    })
})
