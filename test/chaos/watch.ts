/**
 * Looks at each COMMIT PREPARED on its way to a node: its gid must stand in the state files by then. What was sent is only
 * known to be fresh while nothing has held it up and no directory was lost since, so after such faults it looks away for a while.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Proxy } from '../support/proxy'
import type { Violation } from './verify'

const LOOKS_AWAY = 6000 // ms: longer than any fault of the network holds bytes back, and than the sidecar waits for an answer
const ORDER = /COMMIT PREPARED '(pgx_[0-9a-f]+_(\d+_[0-9a-f]+)_\d+)'/g

export class Watch {
    /** COMMIT PREPAREDs that were looked at. */
    seen = 0
    private readonly unwritten = new Set<string>()
    private readonly away = new Map<string, number>()

    constructor(
        private readonly directory: string,
        links: ReadonlyMap<string, Proxy>,
        private readonly forced: ReadonlySet<string>
    ) {
        for (const [name, link] of links)
            link.tap = (chunk) => chunk.includes('COMMIT PREPARED') && this.look(name, chunk.toString('latin1'))
    }

    /** A link holds bytes back, or did until now. */
    disturbed(link: string): void {
        this.away.set(link, performance.now() + LOOKS_AWAY)
    }

    stateLost(): void {
        this.disturbed('state')
    }

    violations(): readonly Violation[] {
        return this.unwritten.size === 0
            ? []
            : [{ what: 'COMMIT PREPARED was sent, and not in the state files', sets: [...this.unwritten] }]
    }

    private look(link: string, text: string): void {
        if (Math.max(this.away.get(link) ?? 0, this.away.get('state') ?? 0) > performance.now()) return
        for (const [, gid, set] of text.matchAll(ORDER)) {
            this.seen += 1
            // An order of a person needs no commit record: it is written down in the coordinator.
            if (!this.forced.has(set!) && !this.written(gid!)) this.unwritten.add(gid!)
        }
    }

    /** A file may be replaced by a compacted one while it is read: the new one is complete before the old one goes. */
    private written(gid: string): boolean {
        for (let attempt = 0; attempt < 3; attempt++) {
            try {
                const files = readdirSync(this.directory).filter((name) => /^state-\d+\.log$/.test(name))
                if (files.some((name) => readFileSync(join(this.directory, name), 'utf8').includes(` ${gid} `))) return true
            } catch {
                continue
            }
        }
        return false
    }
}
