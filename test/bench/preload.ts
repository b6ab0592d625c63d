/** The preload library: built with gcc, and one control file for each server and for the sidecar (preload/preload.c). */
import { execFileSync } from 'node:child_process'
import { chmodSync, closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { workDir } from '../support/workdir'

const SIZE = 24 // struct control
const SOURCE = join(__dirname, 'preload', 'preload.c')

export interface Counts {
    readonly syncs: number
    /** Messages or parts of messages that came in on sockets. */
    readonly received: number
}

export class Control {
    private readonly file: number

    constructor(
        private readonly library: string,
        private readonly path: string
    ) {
        writeFileSync(path, Buffer.alloc(SIZE))
        // The servers may run under another account.
        chmodSync(path, 0o666)
        this.file = openSync(path, 'r+')
    }

    /** For a process that is to be delayed and counted. */
    get env(): Readonly<Record<string, string>> {
        return { LD_PRELOAD: this.library, BENCH_CONTROL: this.path }
    }

    delay(milliseconds: number): void {
        const value = Buffer.alloc(8)
        value.writeBigUInt64LE(BigInt(Math.round(milliseconds * 1000)))
        writeSync(this.file, value, 0, 8, 0)
    }

    counts(): Counts {
        const all = Buffer.alloc(SIZE)
        readSync(this.file, all, 0, SIZE, 0)
        return { syncs: Number(all.readBigUInt64LE(8)), received: Number(all.readBigUInt64LE(16)) }
    }

    close(): void {
        closeSync(this.file)
    }
}

export class Preload {
    private constructor(private readonly library: string) {}

    /** Undefined, and the reason on standard error, where it cannot be built. */
    static build(): Preload | undefined {
        const library = join(workDir(), 'preload.so')
        try {
            if (process.platform !== 'linux') throw new Error(`not on ${process.platform}`)
            execFileSync('gcc', ['-O2', '-Wall', '-shared', '-fPIC', '-o', library, SOURCE, '-ldl'], { stdio: ['ignore', 'pipe', 'pipe'] })
            chmodSync(library, 0o755)
        } catch (error) {
            console.error(
                `SKIPPED: the rounds with slow fsyncs, and all counts of fsyncs: the preload library needs gcc (${String(error)})`
            )
            return undefined
        }
        return new Preload(library)
    }

    control(name: string): Control {
        return new Control(this.library, join(workDir(), `control-${name}`))
    }
}
