import { expect } from 'chai'
import fc from 'fast-check'
import type { Client } from 'pg'
import { finding, sqlText } from '../support/sqltext'
import { World } from '../support/world'

const SEED = Number(process.env['PGLOBALXACT_FUZZ_SEED'] ?? Date.now() % 1_000_000_007)

/** Text in which a COMMIT is a command to the node, though it may look hidden; and text in which it is none. */
const COMMANDS: readonly (readonly [string, string])[] = [
    ['behind a nested comment that holds a quote', `select 1 /* /* */ ' */; commit; /* ' */`],
    ['behind a comment that a carriage return ends', 'select 1 -- x\r; commit'],
    ['behind an E literal that goes on in the next line', `select E'a'\n'\\' '; commit; --'`],
    ['behind an E literal that goes on behind a comment', `select E'a' -- c\n -- d\n'\\' '; commit; --'`],
    ['between two names that end in dollars', 'select 1 as €$$; commit; select 2 as €$$'],
    ['behind a dollar tag that is not ASCII', `select $€$ ' $€$; commit; select $€$ ' $€$`],
    ['behind a literal of a type whose name ends in E', `select €E'\\'; commit; --'`],
    [
        'between a function with a body and a CASE',
        'create function f() returns int begin atomic select 1; end; commit; select case when true then 1 end'
    ],
    ['behind a column called begin', 'select begin atomic from (select 1 as begin) x; commit; select case when true then 1 end'],
    ['as the END behind an empty body', 'create function f() returns void begin atomic end; end'],
    ['as an END where begin atomic is a parameter', `create function f(begin atomic) returns int language sql as 'select 1'; end`]
]
const NO_COMMANDS: readonly (readonly [string, string])[] = [
    ['in a nested comment', 'select 1 /* /* */ ; commit; */'],
    ['in an E literal that goes on in the next line', `select E'a'\n'\\'; commit; --'`],
    ['in a literal behind a name that ends in e', `select €E'; commit; '`],
    ['in a dollar tag that is not ASCII', 'select $é$ ; commit; $é$'],
    ['in a function with a CASE in its body', 'create function f() returns int begin atomic select case when true then 1 end; end'],
    ['behind the letters of another word', 'select 1; commitment']
]

describe('what exec takes for transaction control', () => {
    let world: World
    let app: Client
    before(async () => {
        world = await World.create({ name: 'stmts', bare: true })
        app = await world.connect()
        await app.query(`create function pg_temp.finding(sql text) returns text language plpgsql as $$
            begin perform pglobalxact._check_statement(sql); return 'none'; exception when others then return sqlstate; end $$`)
    })
    after(() => world?.destroy())

    const found = async (texts: readonly string[]): Promise<string[]> =>
        (
            await app.query<{ f: string }>('select pg_temp.finding(t) as f from unnest($1::text[]) with ordinality u (t, i) order by i', [
                texts
            ])
        ).rows.map((row) => row.f)

    for (const [where, sql] of COMMANDS) it(`a command ${where}`, async () => expect(await found([sql])).to.deep.equal(['2D000']))
    for (const [where, sql] of NO_COMMANDS) it(`not what stands ${where}`, async () => expect(await found([sql])).to.deep.equal(['none']))

    it('the same where the session reads its own literals in the old way', async () => {
        const old = await world.connect()
        await old.query('set standard_conforming_strings = off')
        for (const [, sql] of [...COMMANDS, ['', 'commit']]) {
            const error: unknown = await old.query('select pglobalxact._check_statement($1)', [sql]).catch((one: unknown) => one)
            expect(error, sql).to.include({ code: '2D000' })
        }
    })

    it('what an independent reading of the text finds, for any text', async () => {
        const texts = fc.sample(sqlText(), { numRuns: 8000, seed: SEED })
        const answers = await found(texts)
        const seen = new Map<string, number>()
        for (const [index, sql] of texts.entries()) {
            seen.set(answers[index]!, (seen.get(answers[index]!) ?? 0) + 1)
            expect(answers[index], `PGLOBALXACT_FUZZ_SEED=${SEED}: ${JSON.stringify(sql)}`).to.equal(finding(sql))
        }
        expect([...seen.keys()], 'both kinds are common').to.include.members(['2D000', 'none'])
    })

    it('found in a megabyte of quotes, dollars, stars and slashes', async () => {
        for (const piece of ["'", "''", '$', '$a$b', '/*', '*/', '\\', "E'\\''", '--\n', '"', 'é$', '(', ';'])
            await found([`${piece.repeat(Math.floor(1_000_000 / piece.length))} ; commit`])
    }).timeout(180_000)
})
