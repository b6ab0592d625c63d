/** Statements that a program might throw at exec and query, by mistake or to end a branch behind its back. */
import fc from 'fast-check'

const CONTROL = [
    'commit',
    'COMMIT AND CHAIN',
    'rollback',
    'Rollback And Chain',
    'abort',
    'end',
    'begin',
    'savepoint s',
    'rollback to s'
].concat(['release s', 'start transaction', "prepare transaction 'fuzz'", "commit prepared 'fuzz'", 'END TRANSACTION', 'commit work'])

const PLAIN = [
    'update public.canary set n = n + 0',
    'insert into public.words values (1)',
    'select 1',
    '',
    'values (1)',
    'selekt',
    'select 1/0'
]

const SESSION = [
    'set transaction isolation level serializable',
    'set transaction read only',
    'set local role fuzz_other',
    'set role fuzz_other',
    'reset role',
    'set session authorization default',
    'set session authorization postgres',
    'reset session authorization',
    'discard all',
    'discard plans',
    'reset all',
    'deallocate all',
    'unlisten *',
    'listen x',
    "notify x, 'y'",
    'create temp table t (n int)',
    'declare c cursor with hold for select 1',
    'declare c cursor for select 1',
    "set pglobalxact.step = '7'",
    "set local pglobalxact.gid = ''",
    'set search_path = nowhere',
    'reset search_path',
    'set standard_conforming_strings = off',
    "set client_encoding = 'SJIS'",
    "set client_encoding = 'UTF8'",
    'set constraints all immediate',
    'lock table public.canary in access exclusive mode nowait',
    'vacuum',
    'create database nothing',
    'copy public.words from stdin',
    'copy public.words to stdout',
    'copy /* x */ public.words from/**/stdin',
    "copy public.words to program 'true'",
    'call public.committing()',
    "do 'begin perform public.committing_function(); end'",
    'do $$ begin commit; end $$',
    "do $$ begin execute 'commit'; end $$",
    "do $$ begin perform set_config('pglobalxact.step', '9', true); end $$",
    'prepare p as select 1; execute p; deallocate p',
    'create function public.f() returns int begin atomic select 1; end',
    'create function public.g() returns int begin atomic select 1; end; commit; select case when true then 1 end',
    'create function public.h() returns void begin atomic end; end'
] as const

const SELECTS = [
    'select n from public.canary',
    'select pg_terminate_backend(pg_backend_pid())',
    "select set_config('pglobalxact.step', '3', true)",
    "select set_config('standard_conforming_strings', 'off', false)",
    'select 1) q; commit; select * from (select 1',
    'select * from (values (1)) v (n) -- ',
    'with x as (update public.words set n = 2 returning n) select n from x',
    'select $$; commit$$::text'
] as const

/** Text that opens something on one reading and not on another, with a command behind it. */
const hidden = fc
    .tuple(
        fc.constantFrom(
            ...[
                "/* /* */ ' */",
                '-- x\r',
                "E'a'\n'\\' '",
                'select 1 as €$$',
                "select $€$ ' $€$",
                "'\\''",
                "E'\\''",
                "U&'\\0027'",
                "'\\'",
                '$a$ $b$a$'
            ]
        ),
        fc.constantFrom(...CONTROL),
        fc.constantFrom(...["/* ' */", "--'", 'select 2 as €$$', "select $€$ ' $€$", "'", '*/', '$$', ''])
    )
    .map(([open, command, close]) => `${open.startsWith('select') ? '' : 'select 1 '}${open}; ${command}; ${close}`)

const separated = (statements: fc.Arbitrary<string>): fc.Arbitrary<string> =>
    fc
        .array(fc.tuple(statements, fc.constantFrom(';', '; ', ' ;;', ';\n', '; -- x\n', '; /* ; */', ';\r', ' ')), {
            minLength: 1,
            maxLength: 3
        })
        .map((parts) => parts.flat().join(''))

/** Twice as long as any buffer on the way, and one command at its end. */
const long = fc
    .tuple(fc.constantFrom(' ', '-- x\n', "select 'x' where false;", '/* x */', '(', 'é'), fc.constantFrom('commit', 'select 1', ''))
    .map(([piece, last]) => `${piece.repeat(Math.floor(1_000_000 / piece.length))}; ${last}`)

/** What one attack sends, and through which function. */
export interface Attack {
    readonly by: 'exec' | 'query'
    readonly sql: string
}

export const attack = (): fc.Arbitrary<Attack> =>
    fc.record({
        by: fc.constantFrom('exec', 'exec', 'exec', 'query'),
        sql: fc.oneof(
            { weight: 6, arbitrary: separated(fc.constantFrom(...CONTROL, ...PLAIN, ...PLAIN)) },
            { weight: 8, arbitrary: separated(fc.constantFrom(...SESSION)) },
            { weight: 6, arbitrary: hidden },
            { weight: 4, arbitrary: fc.constantFrom(...SELECTS) },
            { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }).map((text) => text.replaceAll('\0', '')) }
        )
    })

export const longAttack = (): fc.Arbitrary<Attack> => fc.record({ by: fc.constant('exec' as const), sql: long })
