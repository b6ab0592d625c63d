import { expect } from 'chai'
import { classify, messageOf, property } from '../../sidecar/sqlstate'

const error = (code: unknown, message = 'it failed'): Error => Object.assign(new Error(message), { code })

describe('an error of a node', () => {
    it('is "absent" for 42704 alone, whatever its text says', () => {
        expect(classify(error('42704'))).to.deep.equal({ trouble: 'absent', sqlstate: '42704', message: 'it failed' })
        for (const code of ['42703', '42P01', '42501', '02000']) {
            expect(classify(error(code, 'prepared transaction with identifier "x" does not exist')).trouble, code).to.equal('retry')
        }
        expect(classify(error(undefined, 'prepared transaction with identifier "x" does not exist')).trouble).to.equal('unknown')
    })

    for (const code of ['08000', '08003', '08006', '08P01', '57P01', '57P02', '57P03', '57P05', '40003', '25P03', '25P04']) {
        it(`is "unknown" for ${code}: the connection or server went away`, () => expect(classify(error(code)).trouble).to.equal('unknown'))
    }

    for (const code of [
        '55000',
        '42501',
        '53200',
        '53300',
        '53100',
        '25006',
        '25001',
        '57014',
        '40001',
        '40P01',
        'XX000',
        '57000',
        '40000',
        '25P01',
        '25P02',
        '0A000',
        '28P01',
        '3D000'
    ]) {
        it(`is "retry" for ${code}: nothing happened`, () => expect(classify(error(code)).trouble).to.equal('retry'))
    }

    for (const code of [
        'EBADF',
        'ECONNRESET',
        'ETIMEDOUT',
        'EPIPE',
        'ENOTFOUND',
        'ERR_SOCKET_CLOSED',
        undefined,
        42704,
        null,
        '',
        '4270',
        '427040',
        '42704\n'
    ]) {
        it(`is "unknown", without an SQLSTATE, for code ${JSON.stringify(code)}`, () => {
            expect(classify(error(code))).to.deep.equal({ trouble: 'unknown', sqlstate: undefined, message: 'it failed' })
        })
    }

    it('may be anything that can be thrown', () => {
        for (const thrown of [undefined, null, 'text', 5, {}, Symbol.iterator]) {
            expect(classify(thrown)).to.include({ trouble: 'unknown', sqlstate: undefined })
        }
    })

    it('says all that was tried when an address has several, where Node itself says nothing', () => {
        expect(
            messageOf(
                new AggregateError([new Error('connect ECONNREFUSED ::1:5432'), new Error('connect ECONNREFUSED 127.0.0.1:5432')], '')
            )
        ).to.equal('connection refused by ::1:5432; connection refused by 127.0.0.1:5432')
        expect(messageOf(new AggregateError([new Error('a')], 'all failed'))).to.equal('all failed')
        expect([messageOf('text'), messageOf(undefined)]).to.deep.equal(['text', 'undefined'])
    })

    it('gives its fields as text or not at all', () => {
        expect(property(error('42704'), 'code')).to.equal('42704')
        for (const [thrown, name] of [
            [error(5), 'code'],
            [error('x'), 'hint'],
            [undefined, 'code'],
            [null, 'code'],
            ['text', 'length']
        ] as const) {
            expect(property(thrown, name)).to.equal(undefined)
        }
    })

    it("says the network's and the driver's terse messages in plain words, and everything else as it is", () => {
        for (const [terse, plain] of [
            ['connect ENOENT /tmp/.s.PGSQL.5432', 'no server at /tmp/.s.PGSQL.5432'],
            ['connect ETIMEDOUT 10.0.0.1:5432', 'no connection to 10.0.0.1:5432 in time'],
            ['connect EHOSTUNREACH 10.0.0.1:5432 - Local (0.0.0.0:0)', 'no route to 10.0.0.1:5432'],
            ['getaddrinfo ENOTFOUND db.example', 'host name db.example is not known'],
            ['read ECONNRESET', 'the connection was reset'],
            ['Query read timeout', 'no answer in time'],
            ['Connection terminated unexpectedly', 'the connection was lost'],
            ['permission denied to set role "app"', 'permission denied to set role "app"']
        ])
            expect(messageOf(new Error(terse))).to.equal(plain)
    })
})
