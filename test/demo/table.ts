/** Rows as psql prints them, for machines without psql. */

/** psql's list: numbers, money and transaction ids stand to the right. */
const RIGHT = new Set([20, 21, 23, 26, 28, 29, 700, 701, 790, 1700, 5069])

export interface Column {
    readonly name: string
    readonly dataTypeID: number
}

export function table(columns: readonly Column[], rows: readonly (readonly (string | null)[])[]): string {
    const cells = rows.map((row) => row.map((cell) => cell ?? ''))
    const widths = columns.map(({ name }, i) => Math.max(width(name), ...cells.map((row) => width(row[i] ?? ''))))
    const line = (texts: readonly string[]): string => texts.map((text) => ` ${text} `).join('|')
    return [
        line(columns.map(({ name }, i) => centred(name, widths[i] ?? 0))),
        widths.map((wide) => '-'.repeat(wide + 2)).join('+'),
        ...cells.map((row) =>
            line(row.map((cell, i) => padded(cell, widths[i] ?? 0, columns[i]!, i === columns.length - 1))).replace(/ $/, '')
        ),
        `(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`,
        ''
    ].join('\n')
}

const width = (text: string): number => [...text].length

function centred(text: string, wide: number): string {
    const left = Math.floor((wide - width(text)) / 2)
    return ' '.repeat(left) + text + ' '.repeat(wide - width(text) - left)
}

function padded(text: string, wide: number, column: Column, last: boolean): string {
    const space = ' '.repeat(wide - width(text))
    if (RIGHT.has(column.dataTypeID)) return space + text
    return last ? text : text + space
}
