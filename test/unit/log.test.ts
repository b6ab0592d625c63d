import { expect } from 'chai'
import { createLog, type Fields } from '../../sidecar/log'

function logged(event: string, fields?: Fields): string {
    const lines: string[] = []
    createLog((line) => lines.push(line)).warning(event, fields)
    expect(lines).to.have.lengthOf(1)
    expect(lines[0]).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning [^\n]*\n$/)
    return lines[0]!.slice(33, -1)
}

/** Takes a line's fields apart again, as a log collector does. */
function fieldsOf(line: string): Record<string, string> {
    const found = line.matchAll(/ ([a-z]+)=("(?:[^"\\]|\\.)*"|[^ ]*)/g)
    return Object.fromEntries([...found].map(([, key, value]) => [key, value!.startsWith('"') ? (JSON.parse(value!) as string) : value!]))
}

describe('the log', () => {
    it('has time, level, event and fields on one line', () => {
        const lines: string[] = []
        const log = createLog((line) => lines.push(line))
        log.info('one')
        log.warning('two', { node: 'b', count: 3, up: true })
        log.error('three', { left: undefined, right: 'x' })
        expect(lines.map((line) => line.slice(25))).to.deep.equal([
            'info one\n',
            'warning two node=b count=3 up=true\n',
            'error three right=x\n'
        ])
    })

    it('leaves plain values bare and quotes the others', () => {
        expect(logged('e', { a: 'pgx_1_2', b: 'postgresql://u@h:1/d', c: 'two words', d: 'a=b', e: 'say "x"', f: '' })).to.equal(
            'e a=pgx_1_2 b=postgresql://u@h:1/d c="two words" d="a=b" e="say \\"x\\"" f=""'
        )
    })

    const nasty = [
        'two\nlines',
        'carriage\rreturn',
        '\u001b[31mred',
        'tab\there',
        'null\0',
        'delete\u007f',
        '\u0085next line',
        'line\u2028separator',
        '\u2029',
        'back\\slash',
        'a" level=error event="forged',
        '\u009b31m',
        'é✓😀',
        ' '
    ]
    for (const value of nasty) {
        it(`keeps ${JSON.stringify(value)} inside its field, and brings it back whole`, () => {
            const line = logged('e', { before: 'x', value, after: 'y' })
            expect(line).to.not.match(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
            expect(fieldsOf(line)).to.deep.equal({ before: 'x', value, after: 'y' })
        })

        it(`keeps ${JSON.stringify(value)} in an event on one line`, () => {
            expect(logged(`lost: ${value}`)).to.not.match(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
        })
    }
})
