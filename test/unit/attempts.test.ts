import { expect } from 'chai'
import type { Answer } from '../../sidecar/finisher'
import { createLog } from '../../sidecar/log'
import type { Node } from '../../sidecar/node'
import { Resolver } from '../../sidecar/resolver'
import type { StateFile } from '../../sidecar/statefile'
import { Tally } from '../../sidecar/tally'

describe('the attempts to finish a branch', () => {
    it('are told of when the first fails, when the error is another one, and when one succeeds: not each time', async () => {
        const told: string[] = []
        const answers: Answer[] = ['53100', '53100', '53100', '42501', '42501'].map((sqlstate): Answer => ({
            ok: false,
            problem: { trouble: 'retry', sqlstate, message: `refused with ${sqlstate}` }
        }))
        const node = { up: true, finish: () => Promise.resolve<Answer>(answers.shift() ?? { ok: true }) }
        const resolver = new Resolver({
            state: { note: () => undefined, append: () => Promise.resolve() } as unknown as StateFile,
            nodes: new Map([[1, node as unknown as Node]]),
            log: createLog(() => undefined),
            tally: new Tally(),
            journal: { note: (kind, detail, about) => void told.push(`${about?.set} ${about?.node} ${kind}: ${detail}`) },
            fault: { at: () => Promise.resolve(), armed: () => false },
            coordinator: '0a1b2c3d',
            retryCap: 1000,
            catalog: () => undefined
        })
        resolver.start()
        const branches = [{ node: 1, xid: null, timeline: null, owner: null, fate: null, forced: null }]
        await resolver.decide([{ xid: '951', nonce: 'cafe0123', outcome: null, branches }], () => '')
        for (let i = 0; i < 6; i++) await resolver.sweep(1, true)
        expect(told).to.deep.equal([
            '951_cafe0123 1 attempt failed: refused with 53100 (53100)',
            '951_cafe0123 1 attempt failed: refused with 42501 (42501)',
            '951_cafe0123 1 healed: committed after 5 failed attempts'
        ])
    })
})
