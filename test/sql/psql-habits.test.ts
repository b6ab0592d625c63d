/** What a DBA is used to do with a view in psql must work with every function for looking. */
import { expect } from 'chai'
import { startCluster, type Cluster } from '../support/cluster'
import { PsqlSession, requirePsql } from '../support/psql'
import { until } from '../support/wait'
import { World } from '../support/world'

const LOOKING = ['sets', 'branches', 'nodes', 'status', 'requests', 'state_lines'] as const

/** Columns on a terminal, besides last_error: what a node says has no bound. */
const WIDEST = 200

const AGES = /^(age|since|prepared_for|next_retry|oldest_prepared|running_for|last_seen|last_look|took)$/

describe('the habits of psql, with the functions for looking', () => {
    let own: Cluster
    let world: World
    let psql: PsqlSession

    before(requirePsql)
    before(async () => {
        own = await startCluster({ name: 'habits' })
        world = await World.create({ name: 'habits', clusters: { c: own } })
        psql = await PsqlSession.open(world.coordinator, world.login('dba'))
    })
    after(async () => {
        await psql?.close()
        await world?.destroy()
        await own?.destroy()
    })

    describe('while all is well', habits)

    describe('while a node is down, a set is open, and another is mixed', () => {
        before(trouble)
        after(repair)
        habits()

        it('shows the trouble in what it prints, and of a mixed set which branch went the other way', async () => {
            const [mixed, waiting, open] = [/\| mixed .*\| b: rolled back *$/m, /\| c: connection refused by /, /in progress/]
            await until('all of it is seen', async () => {
                const seen = await psql.send('select * from pglobalxact.sets();')
                return [mixed, waiting, open].every((pattern) => pattern.test(seen)) || expect.fail(seen)
            })
        })
    })

    describe('while no sidecar runs', () => {
        before(() => world.sidecar!.stop())
        after(() => world.startSidecar())

        it('nodes() says how old its news are', async () => {
            expect(await psql.send('select node, last_error from pglobalxact.nodes();')).to.match(
                /^ b +\| no sidecar acts: as seen \d\d:\d\d:\d\d ago$/m
            )
        })
    })

    it('\\df+ describes every public function', async () => {
        await psql.send('\\x on \n\\pset format unaligned')
        const printed = await psql.send('\\df+ pglobalxact.[a-z]*')
        await psql.send('\\x off \n\\pset format aligned')
        const functions = printed.split(/^Schema\|/m).slice(1)
        const names = functions.map((one) => /^Name\|(.*)$/m.exec(one)![1]!)
        expect(names).to.include.members([...LOOKING, 'exec', 'force_commit'])
        const described = functions.filter((one) => /^Description\|.{20,}/m.test(one)).map((one) => /^Name\|(.*)$/m.exec(one)![1]!)
        expect(described).to.deep.equal(names)
    })

    for (const name of LOOKING) {
        it(`${name}(): an age is an interval, and nothing else is`, async () => {
            const printed = await psql.send(`select * from pglobalxact.${name}() \\gdesc`)
            const columns = [...printed.matchAll(/^ *(\w+) +\| (.*?) *$/gm)].slice(1)
            expect(columns.length, printed).to.be.greaterThan(0)
            for (const [, column, type] of columns) expect(type === 'interval', column).to.equal(AGES.test(column!))
        })
    }

    function habits(): void {
        for (const name of LOOKING) {
            const look = `select * from pglobalxact.${name}()`

            it(`${name}() can be watched`, async () => {
                const watching = psql.send(`${look} \\watch 0.2`)
                await until('it was shown three times', () => [...psql.printed.matchAll(/\(every 0\.2s\)/g)].length >= 3)
                psql.interrupt()
                expect(await watching).to.not.match(/ERROR|WARNING/)
            })

            it(`${name}() works in a transaction block of any kind, with \\x or without`, async () => {
                for (const mode of [
                    '',
                    'isolation level repeatable read',
                    'isolation level serializable read only deferrable',
                    'read only'
                ]) {
                    const answer = await psql.send(
                        `begin ${mode};\n${look};\n\\x\n${look};\n\\x\n${look};\nselect 'still' as alive;\ncommit;`
                    )
                    expect(answer, mode).to.not.match(/ERROR|WARNING/)
                    expect(answer, mode).to.match(/still/)
                }
            })
        }

        for (const name of ['sets', 'branches', 'nodes']) {
            it(`${name}() fits on a terminal`, async () => {
                const printed = await psql.send(`select * from pglobalxact.${name}();`)
                const lines = printed.split('\n').map((line) => line.trimEnd())
                const error = lines.find((line) => /^-+(\+-+)*$/.test(line))!.split('+')[
                    lines[0]!.split('|').findIndex((head) => head.trim() === 'last_error')
                ]!
                expect(Math.max(...lines.map((line) => line.length)) - error.length, printed).to.be.within(1, WIDEST)
            })
        }
    }

    /** b: a branch rolled back by hand. c: down, with a branch waiting. One set in flight. */
    async function trouble(): Promise<void> {
        await world.sidecar!.stop()
        const app = await world.connect('app')
        await world.transfer(app, 10, ['b'])
        await app.query('commit')
        const [branch] = await world.prepared()
        await world.node('b', `rollback prepared '${branch}'`)
        await world.transfer(app, 10, ['c'])
        await app.query('commit')
        await own.kill()
        await world.startSidecar()
        await app.query(`begin; select pglobalxact.exec('b', 'update account set balance = balance + 1')`)
    }

    async function repair(): Promise<void> {
        await own.start()
        await until('only the mixed set is left to people', async () => {
            const rows = await world.admin<{ set_id: string; outcome: string }>('select set_id, outcome from pglobalxact.sets()')
            return rows.every((row) => row.outcome !== 'committed')
        })
        await world.admin("select pglobalxact.acknowledge(set_id, 'test') from pglobalxact.sets() where outcome = 'mixed'")
    }
})
