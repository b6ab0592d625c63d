/** Random SQL text, and a reading of it that shares nothing with sql/internal/_bare_sql.sql: one character after the other. */
import fc from 'fast-check'

const COMMANDS = ['commit', 'COMMIT', 'rollback', 'Abort', 'end', 'END', 'begin', 'start transaction', 'savepoint s', 'release s']
const CONTROL = [...COMMANDS, "prepare transaction 'x'", "commit prepared 'x'", 'commit and chain', 'rollback to s', 'commit work']
/** What separates, hides, opens and closes: the more of these stand side by side, the more likely a reader errs. */
const MARKS = [
    "'",
    "''",
    '"',
    '\\',
    "\\'",
    '$$',
    '$a$',
    '$é$',
    '$1$',
    '$',
    '/*',
    '*/',
    '/*/',
    '**/',
    '--',
    '\n',
    '\r',
    ';',
    ' ',
    '\t',
    "E'",
    "e'"
]
const MORE = [
    "U&'",
    "N'",
    "X'",
    "xE'",
    "_e'",
    "€E'",
    'a$$',
    '€$$',
    '1$$',
    '-',
    '/',
    '(',
    ')',
    ',',
    '.',
    '::',
    '\u00a0',
    '\ufeff',
    'İ',
    'ı',
    '😀'
]
const WORDS = ['select 1', 'update t set n = 1', 'create function f() returns int', 'begin atomic', 'case when true then 1 end', 'as', 'x']

/** Pieces in any order, most of them nonsense. */
export const sqlText = (): fc.Arbitrary<string> =>
    fc
        .array(
            fc.oneof(
                { weight: 6, arbitrary: fc.constantFrom(...MARKS) },
                { weight: 2, arbitrary: fc.constantFrom(...MORE) },
                { weight: 3, arbitrary: fc.constantFrom(...CONTROL) },
                { weight: 2, arbitrary: fc.constantFrom(...WORDS) }
            ),
            { minLength: 1, maxLength: 14 }
        )
        .map((pieces) => pieces.join(''))

const START = /[A-Za-z_\u0080-\u{10ffff}]/u
const WORD = /[A-Za-z0-9_$\u0080-\u{10ffff}]/u

/** The SQL with literals as '', quoted names as "" and comments as a blank: read as PostgreSQL's scanner is documented to. */
export function bare(sql: string): string {
    const text = [...sql]
    const at = (index: number, what: string): boolean => text.slice(index, index + [...what].length).join('') === what
    let out = ''
    let index = 0
    while (index < text.length) {
        const here = text[index]!
        if (at(index, '--')) {
            while (index < text.length && !/[\n\r]/.test(text[index]!)) index++
            out += ' '
        } else if (at(index, '/*')) {
            index = comment(at, index, text.length)
            out += ' '
        } else if (here === "'") {
            index = literal(text, index, false)
            out += ` '' `
        } else if (here === '"') {
            do index++
            while (index < text.length && text[index] !== '"')
            index++
            out += ' "" '
        } else if (/[eE]/.test(here) && at(index + 1, "'")) {
            index = literal(text, index + 1, true)
            out += `e '' `
        } else if (START.test(here)) {
            const from = index
            while (index < text.length && WORD.test(text[index]!)) index++
            out += text.slice(from, index).join('')
        } else if (here === '$') {
            const tag = /^\$(?:[A-Za-z_\u0080-\u{10ffff}][A-Za-z0-9_\u0080-\u{10ffff}]*)?\$/u.exec(text.slice(index).join(''))?.[0]
            if (tag === undefined) {
                out += text[index++]
                continue
            }
            const width = [...tag].length
            for (index += width; index < text.length && !at(index, tag);) index++
            index += width
            out += ` '' `
        } else {
            out += here
            index++
        }
    }
    return out
}

function comment(at: (index: number, what: string) => boolean, start: number, end: number): number {
    let depth = 0
    let index = start
    do {
        const step = at(index, '/*') ? 1 : at(index, '*/') ? -1 : 0
        depth += step
        index += step === 0 ? 1 : 2
    } while (index < end && depth > 0)
    return index
}

/** Index behind a literal that opens at `start`; one with escapes goes on at the next quote behind a line break. */
function literal(text: readonly string[], start: number, escapes: boolean): number {
    let index = start + 1
    for (; index < text.length; index++) {
        if (escapes && text[index] === '\\') index++
        else if (text[index] === "'" && text[index + 1] === "'") index++
        else if (text[index] === "'") break
    }
    index++
    if (!escapes) return index
    const more = /^(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\f\v\n\r]|--[^\n\r]*[\n\r])*'/.exec(text.slice(index).join(''))
    return more === null ? index : literal(text, index + more[0].length - 1, true)
}

export type Finding = '22023' | '2D000' | '0A000' | 'none'

const FIRST = /^\s*(?:begin|start\s+transaction|commit|end|rollback|abort|savepoint|release|prepare\s+transaction)(?![a-z0-9_])/i

/** What exec has to say of the text before it sends it. */
export function finding(sql: string): Finding {
    if (/^[\s;]*$/.test(ascii(sql))) return '22023'
    const statements = ascii(bare(sql)).split(';')
    if (statements.every((statement) => /^\s*$/.test(statement))) return '22023'
    let body = false
    for (const statement of statements) {
        if (body && /^\s*end(?![a-z0-9_])/i.test(statement)) {
            body = false
            continue
        }
        if (FIRST.test(statement)) return '2D000'
        if (/^\s*create\s+(?:or\s+replace\s+)?(?:function|procedure)(?![a-z0-9_])/i.test(statement)) {
            body = opensBody(statement)
            continue
        }
        if (/^\s*copy(?![a-z0-9_]).*(?<![a-z0-9_])(?:from\s+stdin|to\s+stdout)(?![a-z0-9_])/is.test(statement)) return '0A000'
    }
    return 'none'
}

/** Only what is white space to PostgreSQL: JavaScript's \s knows more. */
const ascii = (text: string): string => text.replace(/[\u00a0\ufeff\u2028\u2029\u1680\u2000-\u200a\u202f\u205f\u3000]/g, 'é')

function opensBody(statement: string): boolean {
    for (const { index } of statement.matchAll(/(?<![a-z0-9_])begin\s+atomic(?![a-z0-9_])/gi)) {
        const before = statement.slice(0, index)
        const after = statement.slice(index).replace(/^begin\s+atomic/i, '')
        if (/^\s*end(?![a-z0-9_])/i.test(after)) continue
        return before.split('(').length === before.split(')').length
    }
    return false
}
