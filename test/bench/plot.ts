/** Throughput as a ratio to the floor, as SVG: one panel per set of points, a line per variant, the spread as whiskers. */
import type { Spread } from './result'

export interface Line {
    readonly name: string
    readonly points: readonly (readonly [x: string, value: Spread])[]
}

export interface Panel {
    readonly title: string
    /** Under the axis. */
    readonly unit: string
    readonly lines: readonly Line[]
}

const WIDTH = 860
const HEIGHT = 300
const LEFT = 50
const RIGHT = 180 // the names of the lines
const TOP = 30
const BOTTOM = 44
const TICKS = [0.125, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 16]
const COLOURS = ['#777777', '#b58900', '#111111', '#8a8a8a', '#2e8b57', '#8b5a2b', '#1f5fa8', '#4aa3df', '#7a3fb0', '#c8102e', '#f0803c']

export function plot(panels: readonly Panel[], names: readonly string[]): string {
    const height = panels.length * HEIGHT
    return [
        `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">`,
        '<rect width="100%" height="100%" fill="white"/>',
        ...panels.map((panel, n) => `<g transform="translate(0,${n * HEIGHT})">\n${draw(panel, names)}\n</g>`),
        '</svg>\n'
    ].join('\n')
}

/** Logarithmic: half and double are as far from the floor. */
function draw({ title, unit, lines }: Panel, names: readonly string[]): string {
    const values = lines.flatMap(({ points }) => points.flatMap(([, { least, most }]) => [least, most]))
    const low = Math.min(0.5, ...values) / 1.05
    const high = Math.max(2, ...values) * 1.05
    const ys = (value: number): number =>
        TOP + ((Math.log(high) - Math.log(value)) / (Math.log(high) - Math.log(low))) * (HEIGHT - TOP - BOTTOM)
    const marks = [...new Set(lines.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => Number(a) - Number(b))
    const width = (WIDTH - LEFT - RIGHT) / marks.length
    // Lines side by side within a mark, so that whiskers do not cover each other.
    const xs = (mark: string, line: number): number =>
        LEFT + width * (marks.indexOf(mark) + 0.5) + (line - (lines.length - 1) / 2) * Math.min(6, (width * 0.6) / lines.length)
    return [
        `<text x="${LEFT}" y="18" font-size="13" font-weight="bold">${title}</text>`,
        ...TICKS.filter((tick) => tick >= low && tick <= high).map((tick) => rule(ys(tick), tick)),
        ...marks.map(
            (mark) => `<text x="${LEFT + width * (marks.indexOf(mark) + 0.5)}" y="${HEIGHT - 26}" text-anchor="middle">${mark}</text>`
        ),
        `<text x="${LEFT + (WIDTH - LEFT - RIGHT) / 2}" y="${HEIGHT - 10}" text-anchor="middle">${unit}</text>`,
        ...lines.map((line, n) => drawLine(line, COLOURS[names.indexOf(line.name) % COLOURS.length]!, (x) => xs(x, n), ys)),
        ...lines.map((line, n) => legend(line.name, COLOURS[names.indexOf(line.name) % COLOURS.length]!, n))
    ].join('\n')
}

const rule = (y: number, tick: number): string =>
    `<path d="M${LEFT},${y.toFixed(1)} H${WIDTH - RIGHT}" stroke="${tick === 1 ? '#111' : '#ddd'}"/>` +
    `<text x="${LEFT - 6}" y="${(y + 4).toFixed(1)}" text-anchor="end">${tick}</text>`

const legend = (name: string, colour: string, n: number): string =>
    `<path d="M${WIDTH - RIGHT + 14},${TOP + 6 + n * 17} h18" stroke="${colour}" stroke-width="3"/>` +
    `<text x="${WIDTH - RIGHT + 38}" y="${TOP + 10 + n * 17}">${name}</text>`

function drawLine({ points }: Line, colour: string, xs: (mark: string) => number, ys: (value: number) => number): string {
    const at = points.map(([mark, { median }]) => `${xs(mark).toFixed(1)},${ys(median).toFixed(1)}`)
    const whiskers = points.map(([mark, { least, most }]) => `M${xs(mark).toFixed(1)},${ys(least).toFixed(1)} V${ys(most).toFixed(1)}`)
    return [
        `<polyline points="${at.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.4"/>`,
        `<path d="${whiskers.join(' ')}" stroke="${colour}" stroke-width="1"/>`,
        ...at.map((place) => `<circle cx="${place.split(',')[0]}" cy="${place.split(',')[1]}" r="2.6" fill="${colour}"/>`)
    ].join('\n')
}
