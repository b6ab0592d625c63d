import { expect } from 'chai'
import type { Client } from 'pg'
import { fillAccounts, refused, value } from '../support/refused'
import { World } from '../support/world'

const REASON = `reason => 'a test', confirm => 'yes'`
const FORCES = ['force_commit', 'force_rollback'] as const

describe('a DBA who asks for what cannot be', () => {
    let world: World
    let app: Client
    let dba: Client
    const foreign = 'pgx_00000000_12_00000000_1'

    before(async () => {
        world = await World.create({ name: 'badadmin' })
        app = await world.connect()
        dba = await world.connect('dba')
    })
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await app.query('rollback')
        if (!world.sidecar?.running) await world.startSidecar()
        await world.settled()
    })
    after(() => world?.destroy())

    const ask = (call: string, params: readonly unknown[] = []) => dba.query(`select * from pglobalxact.${call}`, [...params])
    const finishedSet = async () => {
        const set = await world.transfer(app)
        await app.query('commit')
        await app.query('select pglobalxact.await()')
        return set
    }

    describe('force', () => {
        for (const force of FORCES) {
            it(`${force} of a finished set says so, and changes nothing`, async () => {
                const set = await finishedSet()
                const expected = {
                    code: '55000',
                    message: new RegExp(`^set "${set}" is complete: there is nothing to force$`),
                    hint: new RegExp(`^See: select \\* from pglobalxact\\.branches\\('${set}'\\);$`)
                }
                if (force === 'force_commit') await refused(ask(`${force}($1, ${REASON})`, [set]), expected)
                else
                    await refused(ask(`${force}($1, ${REASON})`, [set]), {
                        code: '55000',
                        message: new RegExp(`^set "${set}" is (complete|decided)`),
                        hint: /branches|force_commit goes with the decision/
                    })
                await refused(ask(`${force}($1, ${REASON}, accept_mixed => true)`, [set]), expected)
                expect(await world.sql('select from pglobalxact.forced')).to.deep.equal([])
                expect(await world.balances()).to.deep.equal({ a: 980, b: 1010, c: 1010 })
            })

            it(`${force} of an unknown set, another coordinator's gid, another manager's, or nonsense`, async () => {
                await world.node('b', `begin; create table theirs (n int); prepare transaction '${foreign}'`)
                await world.node('b', `begin; create table more (n int); prepare transaction '131077_Z3RyaWQ=_YnF1YWw='`)
                try {
                    await refused(ask(`${force}('1_00000000', ${REASON})`), {
                        code: '42704',
                        message: /^set "1_00000000" is not known: no commit record, no session, and no branch on any node that answers$/,
                        hint: /^See: select \* from pglobalxact\.sets\(\);$/
                    })
                    await refused(ask(`${force}('${foreign}', ${REASON})`), {
                        code: '22023',
                        message: new RegExp(`^gid "${foreign}" belongs to coordinator 00000000, not to this one`),
                        hint: /^Decide it on its own coordinator\.$/
                    })
                    for (const gid of ['131077_Z3RyaWQ=_YnF1YWw=', 'my transaction', '', null]) {
                        await refused(ask(`${force}($1, ${REASON})`, [gid]), {
                            code: '22023',
                            message: /is not a set id or gid of pglobalxact$/,
                            hint: /^A set id looks like 1234_ab12cd34: .* belongs to another transaction manager: ask it\.$/
                        })
                    }
                    expect(
                        await world.node('b', 'select gid from pg_prepared_xacts where database = current_database() order by 1')
                    ).to.deep.equal([{ gid: '131077_Z3RyaWQ=_YnF1YWw=' }, { gid: foreign }])
                } finally {
                    for (const gid of [foreign, '131077_Z3RyaWQ=_YnF1YWw=']) await world.node('b', `rollback prepared '${gid}'`)
                }
            })

            it(`${force} without a reason, or on a node that does not exist`, async () => {
                const set = await finishedSet()
                for (const reason of [null, '', '  ']) {
                    await refused(ask(`${force}($1, reason => $2, confirm => 'yes')`, [set, reason]), {
                        code: '22023',
                        message: /^a reason is needed: it is recorded with who and when$/,
                        hint: new RegExp(
                            `^For example: select \\* from pglobalxact\\.${force}\\('${set}', reason => 'node b is lost, ticket 4711', confirm => 'yes'\\);$`
                        )
                    })
                }
                await refused(ask(`${force}($1, 'nowhere', 'a test')`, [set]), {
                    code: '42704',
                    message: /^node "nowhere" does not exist$/,
                    hint: /^See: select \* from pglobalxact\.nodes\(\);$/
                })
            })
        }

        it('force_commit of a set that still runs', async () => {
            const set = await world.transfer(app)
            await refused(ask(`force_commit($1, ${REASON})`, [set]), {
                code: '55000',
                message: new RegExp(`^the local transaction of set "${set}" is still running: it cannot be forced to commit$`),
                hint: /^COMMIT in its own session; or force_rollback, which ends that session first\.$/
            })
            await app.query('commit')
            await app.query('select pglobalxact.await()')
            expect(await world.balances()).to.deep.equal({ a: 980, b: 1010, c: 1010 })
        })

        it('force_commit of a set that rolled back', async () => {
            const set = await world.transfer(app)
            await app.query('rollback')
            await refused(ask(`force_commit($1, ${REASON})`, [set]), {
                code: '55000',
                message: new RegExp(`^set "${set}" is decided: its local transaction did not commit$`),
                hint: /^force_rollback goes with the decision\./
            })
            await refused(ask(`force_commit($1, ${REASON}, accept_mixed => true)`, [set]), {
                code: '55000',
                message: new RegExp(`^set "${set}" is not prepared on any node that answers: there is nothing to force$`),
                hint: /^Its local transaction did not commit;/
            })
            expect(await world.sql('select from pglobalxact.forced')).to.deep.equal([])
        })
    })

    it('retry, acknowledge and branches of sets that need none, or are unknown', async () => {
        const set = await finishedSet()
        await refused(ask('retry($1)', [set]), { code: '55000', message: /is complete: there is nothing to retry$/, hint: /branches/ })
        await refused(ask(`retry('1_00000000')`), { code: '42704', message: /^set "1_00000000" is not known/, hint: /sets\(\)/ })
        await refused(ask(`retry('x')`), { code: '22023', message: /is not a set id/, hint: /looks like/ })
        await refused(ask(`acknowledge($1, 'a test')`, [set]), {
            code: '55000',
            message: /needs no acknowledgement: it is committed$/,
            hint: /^Only a complete set that is mixed or unknown/
        })
        await refused(ask(`acknowledge('1_00000000', 'a test')`), {
            code: '42704',
            message: /^set "1_00000000" is not known here$/,
            hint: /sets\(\)/
        })
        await refused(ask(`acknowledge($1, '')`, [set]), { code: '22023', message: /^a reason is needed/, hint: /ticket 4711/ })
        await refused(ask(`branches('1_00000000')`), { code: '42704', message: /^set "1_00000000" is not known here$/, hint: /outcome/ })
        await refused(ask(`branches('${foreign}')`), { code: '22023', message: /belongs to coordinator 00000000/, hint: /own coordinator/ })
    })

    it('nodes that are none', async () => {
        await world.sql('create foreign data wrapper nothing; create server paper foreign data wrapper nothing')
        await refused(ask(`add_node('nowhere')`), {
            code: '42704',
            message: /^foreign server "nowhere" does not exist$/,
            hint: /^CREATE SERVER nowhere FOREIGN DATA WRAPPER dblink_fdw OPTIONS .*; and commit it before this call\.$/
        })
        await refused(ask(`add_node('paper')`), {
            code: '42809',
            message: /^foreign server "paper" \(nothing\) cannot be a node$/,
            hint: /^A node is a foreign server of dblink_fdw or postgres_fdw\.$/
        })
        await refused(ask(`add_node('pglobalxact_loopback')`), { code: '42809', message: /cannot be a node$/, hint: /dblink_fdw/ })
        for (const call of ['check_node', 'remove_node']) {
            await refused(ask(`${call}('nowhere')`), {
                code: '42704',
                message: /^node "nowhere" does not exist$/,
                hint: /^See: select \* from pglobalxact\.nodes\(\);$/
            })
        }
        expect(await world.sql('select name from pglobalxact.node order by 1')).to.deep.equal([{ name: 'b' }, { name: 'c' }])
    })

    it('remove_node of a node with a branch, decided or in flight', async () => {
        await world.sidecar!.kill()
        await world.transfer(app, 10, ['b'])
        const busy = {
            code: '55006',
            message: /^node "b" has 1 unfinished branches$/,
            hint: /^See: select \* from pglobalxact\.branches\(\);/
        }
        await refused(ask(`remove_node('b')`), busy)
        await app.query('commit')
        await refused(ask(`remove_node('b')`), busy)
    })

    it('adopt and allow_home when there is nothing to allow', async () => {
        await refused(ask(`adopt('a test')`), { code: '55000', message: /^no sidecar of an unknown home waits here$/, hint: /status\(\)/ })
        await refused(ask(`adopt('')`), { code: '22023', message: /^a reason is needed/, hint: /adopt/ })
        await refused(ask(`allow_home('x', 'a test')`), {
            code: '22023',
            message: /^"x" is not the id of a home$/,
            hint: /16 hex digits in the file "home"/
        })
        expect(await world.sql('select count(*) from pglobalxact.home')).to.deep.equal([{ count: '1' }])
    })

    it('anything of a sidecar that does not run: an error at once that says since when, and nothing is queued', async () => {
        const set = await finishedSet()
        const pid = world.sidecar!.pid
        await world.sidecar!.kill()
        const requests = () => value(dba, 'select max(id) from pglobalxact.requests()')
        const before = await requests()
        for (const call of [
            `force_rollback('${set}', ${REASON})`,
            `force_commit('${set}', ${REASON})`,
            `retry('${set}')`,
            'recover()',
            `add_node('b')`,
            `check_node('b')`,
            `acknowledge('${set}', 'a test')`,
            'state_lines()'
        ]) {
            const start = Date.now()
            await refused(ask(call), {
                code: '55000',
                message: /^no sidecar is running for this coordinator: nothing was done$/,
                detail: new RegExp(`^The last one \\(host .+, pid ${pid}\\) was seen \\d\\d:\\d\\d:\\d\\d ago\\.$`),
                hint: /^Start it next to this server: npx pglobalxact run --state-dir DIR$/
            })
            expect(Date.now() - start, call).to.be.lessThan(1000)
        }
        expect(await requests()).to.equal(before)
        expect(await value(dba, 'select sidecar from pglobalxact.status()')).to.equal('not running')
    })

    it('anything of a sidecar that never ran', async () => {
        const bare = await World.create({ name: 'never', bare: true })
        try {
            await refused(bare.admin('select * from pglobalxact.recover()'), {
                code: '55000',
                message: /^no sidecar is running/,
                detail: /^None has ever connected to this database\.$/,
                hint: /npx pglobalxact run/
            })
            expect(await bare.admin('select sidecar from pglobalxact.status()')).to.deep.equal([{ sidecar: 'never started' }])
        } finally {
            await bare.destroy()
        }
    })
})
