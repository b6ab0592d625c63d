/** Line plots as SVG: one panel per series, the same time axis below. */

export interface Series {
    readonly title: string
    readonly unit: string
    readonly points: readonly (readonly [minutes: number, value: number])[]
}

const WIDTH = 800
const PANEL = 120
const LEFT = 70
const TOP = 24

export function plot(series: readonly Series[]): string {
    const end = Math.max(1e-9, ...series.flatMap(({ points }) => points.map(([x]) => x)))
    const panels = series.map((one, n) => panel(one, n * PANEL, end))
    const height = series.length * PANEL + 24
    return [
        `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">`,
        '<rect width="100%" height="100%" fill="white"/>',
        ...panels,
        `<text x="${WIDTH - 8}" y="${height - 8}" text-anchor="end">${end.toFixed(0)} min</text>`,
        `<text x="${LEFT}" y="${height - 8}">0</text>`,
        '</svg>\n'
    ].join('\n')
}

/** From 0, so that noise does not look like growth. */
function panel({ title, unit, points }: Series, y: number, end: number): string {
    const top = Math.max(1e-9, ...points.map(([, value]) => value)) * 1.1
    const low = y + PANEL - 8
    const at = ([x, value]: readonly [number, number]): string =>
        `${(LEFT + (x / end) * (WIDTH - LEFT - 8)).toFixed(1)},${(low - (value / top) * (PANEL - TOP - 8)).toFixed(1)}`
    return [
        `<text x="${LEFT}" y="${y + 16}" font-weight="bold">${title}</text>`,
        `<text x="${LEFT - 6}" y="${y + TOP + 10}" text-anchor="end">${top.toPrecision(3)} ${unit}</text>`,
        `<text x="${LEFT - 6}" y="${low}" text-anchor="end">0</text>`,
        `<path d="M${LEFT},${y + TOP} V${low} H${WIDTH - 8}" fill="none" stroke="#999"/>`,
        `<polyline points="${points.map(at).join(' ')}" fill="none" stroke="#1f5fa8" stroke-width="1.2"/>`
    ].join('\n')
}
