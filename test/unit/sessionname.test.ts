import { expect } from 'chai'
import { sessionName } from '../../sidecar/fence'

const NAME = 'pgx_1a2b3c4d_sidecar_da02_1_deadbeef' // as fence.ts makes it

describe("the name of the sidecar's session at a node", () => {
    it('ends with where the coordinator is', () => {
        expect(sessionName(NAME, 'zurich:5433/bank')).to.equal(`${NAME} zurich:5433/bank`)
    })

    it('fits into what PostgreSQL keeps: the domain goes first, and a cut is marked', () => {
        expect(sessionName(NAME, 'zurich.datacentre.example.com:5433/bank')).to.equal(`${NAME} zurich:5433/bank`)
        const long = sessionName(NAME, `zurich.datacentre.example.com/${'accounts'.repeat(8)}`)
        expect(long)
            .to.have.lengthOf(63)
            .and.match(/ zurich\/accounts.*~$/)
        expect(sessionName(NAME, '10.20.30.40:5433/accounts_of_the_bank')).to.match(/ 10\.20\.30\.40:5433\/acc~$|~$/)
    })

    it('is what PostgreSQL shows of it: a session is known by it', () => {
        expect(sessionName(NAME, 'zürich/bänk')).to.equal(`${NAME} z?rich/b?nk`)
    })
})
