/** A whole run: all points, each in interleaved rounds. */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { percentile } from '../chaos/stats'
import { ownedDir } from '../support/datadir'
import { workDir } from '../support/workdir'
import { breakDown, type Breakdown } from './breakdown'
import { runCell, type Cell } from './cell'
import { Fleet } from './fleet'
import { Ground } from './ground'
import type { Options, Point } from './options'
import type { Machine, Measured } from './result'

/** On the disk that the servers are on. */
async function fsyncTime(): Promise<number> {
    const home = join(workDir(), 'fsync')
    await ownedDir(home)
    const file = openSync(join(home, 'file'), 'w')
    const page = Buffer.alloc(8192, 'x')
    const times = Array.from({ length: 200 }, () => {
        writeSync(file, page)
        const began = performance.now()
        fdatasyncSync(file)
        return performance.now() - began
    })
    closeSync(file)
    rmSync(home, { recursive: true })
    return percentile(times, 0.5)!
}

const machine = async (ground: Ground): Promise<Machine> => ({
    cores: cpus().length,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    postgres: ground.version,
    node: process.versions.node,
    fsyncMs: await fsyncTime()
})

async function measurePoint(ground: Ground, fleet: Fleet, point: Point, options: Options, tell: (cell: Cell) => void): Promise<Measured> {
    await ground.widen(Math.max(2, point.branches))
    ground.delayFsync(point.fsyncMs)
    const { rounds, seconds, warmupSeconds, command } = options
    const cells: Cell[][] = []
    for (let round = 0; round < rounds; round++) {
        const measured: Cell[] = []
        for (const variant of point.variants) {
            const cell = await runCell(ground, fleet, point, variant, { seconds, warmupSeconds })
            measured.push(cell)
            tell(cell)
        }
        cells.push(measured)
    }
    ground.delayFsync(0)
    return { ...point, at: new Date().toISOString(), machine: await machine(ground), rounds, seconds, command, cells }
}

/** With more than one session, as batches and shared fsyncs belong to what a set costs. */
const BROKEN_DOWN: Point = {
    sessions: 8,
    branches: 2,
    fsyncMs: 0,
    variants: ['hand-rolled', 'dblink-2pc', 'exec', 'exec-script', 'enlist']
}

export interface Progress {
    readonly began: (point: Point) => void
    readonly cell: (cell: Cell) => void
    /** All rounds of a point are done. */
    readonly point: (measured: Measured) => void
    readonly breakdown: (found: Breakdown) => void
}

export async function run(options: Options, progress: Progress): Promise<void> {
    const ground = await Ground.create({ profile: options.profile })
    const fleet = new Fleet(options.clients)
    // Without the library the slow rounds are skipped, as Preload.build said.
    const points = options.points.filter(({ fsyncMs }) => fsyncMs === 0 || ground.controls.size > 0)
    const wide = ({ branches }: Point): boolean => branches > BROKEN_DOWN.branches
    const measure = async (some: readonly Point[]): Promise<void> => {
        for (const point of some) {
            progress.began(point)
            progress.point(await measurePoint(ground, fleet, point, options, progress.cell))
        }
    }
    try {
        // Wide points last: a node more is looked at by the sidecar from then on.
        await measure(points.filter((point) => !wide(point)))
        if (options.breakdown) {
            await ground.widen(BROKEN_DOWN.branches)
            for (const variant of BROKEN_DOWN.variants) progress.breakdown(await breakDown(ground, fleet, BROKEN_DOWN, variant, options))
        }
        await measure(points.filter(wide).sort((a, b) => a.branches - b.branches))
    } finally {
        // First those that would see their servers go.
        await fleet.end()
        await ground.destroy()
    }
}
