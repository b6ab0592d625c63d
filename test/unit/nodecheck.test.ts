import { expect } from 'chai'
import { itemOf, checkNode } from '../../sidecar/nodecheck'
import { readAddress } from '../../sidecar/nodeoptions'

describe('the checks of a node', () => {
    const check = (version: number, ...options: string[]) =>
        checkNode(
            {
                up: false,
                fenceState: 'not connected',
                address: readAddress({
                    number: 1,
                    name: 'b',
                    active: true,
                    lost: false,
                    server_options: options,
                    mapping_options: ['user=x']
                })
            },
            'connect ECONNREFUSED',
            version,
            undefined
        )

    it('ask for a connect_timeout where the coordinator is older than 16', () => {
        const timeout = (...given: Parameters<typeof check>) => check(...given).find(({ key }) => key === 'node.connect_timeout')!
        expect(timeout(150010).troubles[0]!.fix).to.equal('/* at the coordinator */ alter server "b" options (add connect_timeout \'5\');')
        expect(timeout(150010, 'connect_timeout=5').troubles).to.deep.equal([])
        expect(timeout(160000).troubles).to.deep.equal([])
    })

    it('take no advice for a fault', () => {
        const tls = check(170000, 'host=far.example').find(({ key }) => key === 'node.tls')!
        expect(tls.troubles).to.have.lengthOf(1)
        expect(itemOf(tls)).to.include({ item: 'encryption', ok: true })
    })

    it('take this host, and a socket, for local', () => {
        for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '::1', '/run/postgresql']) {
            expect(check(170000, `host=${host}`).find(({ key }) => key === 'node.tls')!.troubles, host).to.deep.equal([])
        }
        expect(check(170000, 'host=localhost,db2').find(({ key }) => key === 'node.tls')!.troubles).to.have.lengthOf(1)
    })
})
