import { expect } from 'chai'
import type { Client } from 'pg'
import { fillAccounts, refused, value } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'

describe('what became of a set', () => {
    let world: World
    let app: Client
    let other: Client

    before(async () => {
        world = await World.create({ name: 'outcome' })
        app = await world.connect()
        other = await world.connect()
    })
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await app.query('rollback')
        await other.query('rollback')
        if (!world.sidecar?.running) await world.startSidecar()
        await world.settled()
    })
    after(() => world?.destroy())

    const outcome = (set: unknown, session = other) => value(session, 'select pglobalxact.outcome($1)', [set])
    const gidOf = async (set: string) => {
        const [row] = await world.sql<{ gid: string }>(
            `select 'pgx_' || c.id || '_' || $1::text || '_' || n.number as gid
      from pglobalxact.coordinator c, pglobalxact.node n where n.name = 'b'`,
            [set]
        )
        return row!.gid
    }

    describe('set_id()', () => {
        it("names the current transaction's set, from its first exec, query or enlist on", async () => {
            await app.query('begin')
            expect(await value(app, 'select pglobalxact.set_id()')).to.equal(null)
            await app.query('update account set balance = balance')
            expect(await value(app, 'select pglobalxact.set_id()')).to.equal(null)
            const { rows } = await app.query<{ tag: string; id: string }>(
                `select pglobalxact.exec('b', 'update account set balance = balance') as tag, pglobalxact.set_id() as id`
            )
            expect(rows[0]!.id).to.match(/^[1-9]\d*_[0-9a-f]{8}$/)
            await app.query(`select pglobalxact.enlist('c')`)
            expect(await value(app, 'select pglobalxact.set_id()')).to.equal(rows[0]!.id)
            await app.query('rollback')
            expect(await value(app, 'select pglobalxact.set_id()')).to.equal(null)
        })
    })

    describe('outcome()', () => {
        it('is in progress until COMMIT, and committed from then on, branches or not', async () => {
            await world.sidecar!.kill()
            const set = await world.transfer(app)
            expect(await outcome(set)).to.equal('in progress')
            expect(await outcome(set, app)).to.equal('in progress')
            await app.query('commit')
            expect(await world.prepared()).to.have.length(2)
            expect(await outcome(set)).to.equal('committed')
            await world.startSidecar()
            await world.settled()
            expect(await outcome(set)).to.equal('committed')
            expect(await outcome(await gidOf(set)), 'by a gid').to.equal('committed')
        })

        it('is rolled back after ROLLBACK, after a failed COMMIT, and after the session was killed', async () => {
            const rolledBack = await world.transfer(app)
            await app.query('rollback')
            expect(await outcome(rolledBack)).to.equal('rolled back')

            const refusedByNode = await world.transfer(app)
            await app.query(`select pglobalxact.exec('c', 'create temp table t ()')`)
            await refused(app.query('commit'), { code: '0A000', message: /^set rolled back: / })
            await app.query('select 1') // the error is sent before the transaction is over
            expect(await outcome(refusedByNode)).to.equal('rolled back')

            const victim = await world.connect()
            const killed = await world.transfer(victim)
            expect(await outcome(killed)).to.equal('in progress')
            await world.sql('select pg_terminate_backend($1, 5000)', [await value(victim, 'select pg_backend_pid()')])
            await until('it is rolled back', async () => (await outcome(killed)) === 'rolled back')
        })

        it('tells a client that lost its connection during COMMIT what came of it', async () => {
            const victim = await world.connect()
            const set = await world.transfer(victim)
            const answer = victim.query('commit').catch((error: Error) => error)
            victim.connection.stream.destroy() // sent, and no answer is ever read
            await answer
            expect(
                await until('the set is decided', async () => {
                    const now = await outcome(set)
                    return now === 'in progress' ? undefined : now
                })
            ).to.be.oneOf(['committed', 'rolled back'])
            await world.settled()
            const paid = (await world.balances())['b'] === 1010
            expect(await outcome(set)).to.equal(paid ? 'committed' : 'rolled back')
            expect(await world.balances()).to.deep.equal(paid ? { a: 980, b: 1010, c: 1010 } : { a: 1000, b: 1000, c: 1000 })
        })

        it('is unknown for an id that this database never handed out', async () => {
            for (const id of ['1_00000000', '999999999999_abcdef01', '9223372036854775807_00000000'])
                expect(await outcome(id), id).to.equal('unknown')
        })

        it('is unknown, and not a guess, for a set whose commit record is purged after the retention time', async () => {
            // Two sets; the record of the newer one is purged, the older one stays on the books, as a mixed one would.
            const older = await world.transfer(app)
            await app.query('commit')
            const purged = await world.transfer(app)
            await app.query('commit')
            await world.settled()
            await world.sql(
                `update pglobalxact.commit_record set complete_at = complete_at - interval '8 days' where xid || '_' || nonce = $1`,
                [purged]
            )
            expect(await world.sql('select pglobalxact._purge() as purged')).to.deep.equal([{ purged: 1 }])
            expect(await outcome(older)).to.equal('committed')
            expect(await outcome(purged)).to.equal('unknown')
            const undone = await world.transfer(app)
            await app.query('rollback')
            expect(await outcome(undone)).to.equal('rolled back')
        })

        it("refuses what is not a set id, or another coordinator's", async () => {
            for (const bad of [
                '',
                'x',
                '12',
                '12_abc',
                '0_00000000',
                '-1_00000000',
                '12_0000000G',
                'pgx_0000000_1_00000000_1',
                '131077_Z3RyaWQ=_YnF1YWw=',
                null
            ]) {
                await refused(outcome(bad), {
                    code: '22023',
                    message: /" is not a set id or gid of pglobalxact$/,
                    hint: /^A set id looks like 1234_ab12cd34: see pglobalxact\.sets\(\)/
                })
            }
            await refused(outcome('pgx_00000000_12_00000000_1'), {
                code: '22023',
                message: /^gid "pgx_00000000_12_00000000_1" belongs to coordinator 00000000, not to this one \([0-9a-f]{8}\)$/,
                hint: /^Decide it on its own coordinator\.$/
            })
        })
    })

    describe('await()', () => {
        const lastSet = (session: Client) => value(session, 'select pglobalxact.await()')

        it("blocks until the branches of this session's last set are committed", async () => {
            await world.sidecar!.kill()
            const set = await world.transfer(app)
            await app.query('commit')
            let answered = false
            const waiting = lastSet(app).finally(() => {
                answered = true
            })
            expect(
                await until('it waits', () =>
                    world
                        .sql(`select from pg_stat_activity where query like '%await()%' and state = 'active' and wait_event = 'PgSleep'`)
                        .then((found) => found.length > 0)
                )
            ).to.equal(true)
            expect(answered).to.equal(false)
            await world.startSidecar()
            expect(await waiting).to.equal('committed')
            expect(await world.balances()).to.deep.equal({ a: 980, b: 1010, c: 1010 })
            expect(await value(other, 'select pglobalxact.await($1)', [set])).to.equal('committed')
            expect(await value(other, 'select pglobalxact.await($1)', [await gidOf(set)])).to.equal('committed')
        })

        it('waits for the last set that committed, not for one that rolled back', async () => {
            await world.transfer(app)
            await app.query('commit')
            const committed = await value(app, `select current_setting('pglobalxact.last_set')`)
            await world.transfer(app)
            await app.query('set constraints all immediate')
            await app.query('rollback')
            expect(await value(app, `select current_setting('pglobalxact.last_set')`)).to.equal(committed)
            expect(await lastSet(app)).to.equal('committed')
        })

        for (const level of ['repeatable read', 'serializable']) {
            it(`works in a ${level} transaction, whose snapshot is older than the end of the set`, async () => {
                await world.sidecar!.kill()
                const set = await world.transfer(app)
                await app.query('commit')
                await other.query(`begin isolation level ${level}`)
                await other.query('select count(*) from account')
                const waiting = value(other, 'select pglobalxact.await($1)', [set])
                await world.startSidecar()
                expect(await waiting).to.equal('committed')
            })
        }

        it('gives up after its timeout, and says that the set goes on', async () => {
            await world.sidecar!.kill()
            const set = await world.transfer(app)
            await app.query('commit')
            await refused(value(app, `select pglobalxact.await(timeout => '50 ms')`), {
                code: '57014',
                message: new RegExp(`^set "${set}" is committed, but not yet on all nodes after 00:00:00\\.05$`),
                hint: new RegExp(`^It will be finished by itself\\. See: select \\* from pglobalxact\\.branches\\('${set}'\\);$`)
            })
            await world.startSidecar()
            expect(await lastSet(app)).to.equal('committed')
        })

        it('does not wait for what cannot come', async () => {
            const session = await world.connect()
            await refused(lastSet(session), { code: '55000', message: /^this session has committed no set yet$/, hint: /^Give a set id: / })
            const set = await world.transfer(session)
            await refused(value(session, 'select pglobalxact.await($1)', [set]), {
                code: '55000',
                message: new RegExp(`^set "${set}" is this transaction's own: it is not committed yet$`),
                hint: /^COMMIT first, then: select pglobalxact\.await\(\);$/
            })
            await refused(value(other, 'select pglobalxact.await($1)', [set]), {
                code: '42704',
                message: new RegExp(`^set "${set}" is not known here$`),
                hint: new RegExp(`^See: select pglobalxact\\.outcome\\('${set}'\\);$`)
            })
            await refused(value(other, `select pglobalxact.await('nonsense')`), {
                code: '22023',
                message: /^"nonsense" is not a set id or gid/,
                hint: /looks like/
            })
            await refused(value(other, `select pglobalxact.await('1_00000000')`), {
                code: '42704',
                message: /^set "1_00000000" is not known here$/,
                hint: /outcome/
            })
            await session.query('rollback')
        })
    })
})
