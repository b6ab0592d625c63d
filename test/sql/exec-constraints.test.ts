import { expect } from 'chai'
import type { Client } from 'pg'
import { fillAccounts, refused, value } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'

const UNTOUCHED = { a: 1000, b: 1000, c: 1000 }

describe('SET CONSTRAINTS ALL IMMEDIATE in a transaction with a set', () => {
    let world: World
    let app: Client

    before(async () => {
        world = await World.create({ name: 'constraints' })
        app = await world.connect()
    })
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await app.query('rollback')
        await world.settled()
    })
    after(() => world?.destroy())

    const pay = (node: string, amount = 10) =>
        value(app, 'select pglobalxact.exec($1, $2)', [node, `update account set balance = balance + ${amount}`])
    const preparedAlready = {
        code: '55000',
        message: /^this transaction's set is prepared already: it can take no more work$/,
        hint: /^SET CONSTRAINTS ALL IMMEDIATE prepares the set: run it last, or name the constraints you mean\.$/
    }

    it('before the first exec changes nothing', async () => {
        await app.query('begin')
        await app.query('set constraints all immediate')
        await pay('b')
        await pay('c')
        await pay('b')
        expect(await world.prepared()).to.deep.equal([])
        await app.query('commit')
        await app.query('select pglobalxact.await()')
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1020, c: 1010 })
    })

    it('at the end prepares the set, and COMMIT commits it', async () => {
        const set = await world.transfer(app, 10)
        await app.query('set constraints all immediate')
        expect(await world.prepared()).to.have.length(2)
        expect(await value(app, 'select pglobalxact.outcome($1)', [set])).to.equal('in progress')
        await app.query('commit')
        expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
        expect(await world.balances()).to.deep.equal({ a: 980, b: 1010, c: 1010 })
    })

    it('at the end prepares the set, and ROLLBACK rolls it back', async () => {
        await world.transfer(app, 10)
        await app.query('set constraints all immediate')
        expect(await world.prepared()).to.have.length(2)
        await app.query('rollback')
        await until('no branch is prepared', async () => (await world.prepared()).length === 0)
        expect(await world.balances()).to.deep.equal(UNTOUCHED)
    })

    it('at the end tells at once what would make COMMIT fail', async () => {
        await world.transfer(app, 10)
        await app.query('savepoint s')
        await pay('c')
        await app.query('rollback to s')
        await refused(app.query('set constraints all immediate'), {
            code: '22P02',
            message: /^set rolled back: node "c": the branch does not match/
        })
        await app.query('commit') // answers ROLLBACK
        expect(await world.balances()).to.deep.equal(UNTOUCHED)
    })

    for (const node of ['b', 'c']) {
        it(`in the middle makes a further exec fail on ${node === 'b' ? 'a node of the set' : 'another node'}, and all rolls back`, async () => {
            await app.query('begin')
            await app.query('update account set balance = balance - 10')
            await pay('b')
            await app.query('set constraints all immediate')
            expect(await world.prepared()).to.have.length(1)
            await refused(pay(node), preparedAlready)
            await app.query('commit') // answers ROLLBACK
            await until('no branch is prepared', async () => (await world.prepared()).length === 0)
            expect(await world.balances()).to.deep.equal(UNTOUCHED)
        })
    }

    it('in the middle, undone with a savepoint, makes COMMIT fail, and all rolls back', async () => {
        await world.transfer(app, 10)
        await app.query('savepoint s')
        await app.query('set constraints all immediate')
        await app.query('rollback to s')
        await refused(app.query('commit'), {
            code: '22P02',
            message: /^set rolled back: node "b": the branch does not match the local transaction$/
        })
        await until('no branch is prepared', async () => (await world.prepared()).length === 0)
        expect(await world.balances()).to.deep.equal(UNTOUCHED)
    })

    it('leaves local work after it to be committed with the set', async () => {
        await world.transfer(app, 10)
        await app.query('set constraints all immediate')
        await app.query('update account set balance = balance - 1')
        await app.query('commit')
        await app.query('select pglobalxact.await()')
        expect(await world.balances()).to.deep.equal({ a: 979, b: 1010, c: 1010 })
    })

    it('with a set of reads only commits them plainly', async () => {
        await app.query('begin')
        expect(await value(app, `select n from pglobalxact.query('b', 'select count(*) from account') as t (n bigint)`)).to.equal('1')
        await app.query('set constraints all immediate')
        expect(await world.prepared()).to.deep.equal([])
        await app.query('commit')
        expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
    })
})
