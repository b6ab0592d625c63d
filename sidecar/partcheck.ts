import { escapeLiteral } from 'pg'
import { aheadOf } from './clocks'
import { check, type Check } from './findings'
import type { Figures } from './records'
import type { Keeper } from './recovery'
import type { Watcher } from './watch/watcher'

const LONG = 0.1 // s that COMMIT may wait for a clock
const NEARLY = 0.8 // of the WAL that a node may keep for its slot
const AT_HOME = '/* at the coordinator */ '

/** What doctor() looks at on a node of the parts that may be off: a clock that is kept, a node that is watched. */
export function checkParts({ node, sight }: Keeper, watcher: Watcher | undefined, figures: Figures): readonly Check[] {
    const ahead = sight.clock === undefined ? undefined : aheadOf(sight.clock, figures.clock) / 1000
    return [commitWait(ahead, figures.tolerance), watching(node.up, watcher), walKept(node.address.name, watcher)]
}

/** Against the coordinator's clock only: between two nodes it is twice as long at most. */
function commitWait(ahead: number | undefined, tolerance: number | null): Check {
    const apart = Math.abs(ahead ?? 0)
    return check(
        'node.commit_wait',
        'commit wait',
        tolerance === null ? 'no clock is kept' : `${apart.toFixed(3)} s`,
        tolerance !== null &&
            apart > LONG && {
                finding: `its clock is ${apart.toFixed(1)} s ${ahead! > 0 ? 'ahead of' : 'behind'} the coordinator's, and a clock is kept`,
                why:
                    apart > tolerance
                        ? `COMMIT fails, as they are more than ${tolerance} s apart (pglobalxact.keep_clock)`
                        : 'COMMIT of every set with this node waits for so long (pglobalxact.keep_clock)',
                fix: 'sudo timedatectl set-ntp true'
            }
    )
}

/** A node that is not reached has a finding of its own, and so has a standby. */
function watching(up: boolean, watcher: Watcher | undefined): Check {
    const trouble = up && watcher?.facts?.standby !== true ? watcher?.trouble : undefined
    return check(
        'node.watch',
        'watched',
        watcher?.state ?? 'no',
        trouble !== undefined && {
            finding: `it is to be watched, and is not: ${trouble.finding}`,
            why: 'rows of sets in doubt are not known, the feed stands still, and the slot keeps WAL',
            fix: trouble.fix ?? `${AT_HOME}select * from pglobalxact.prepared();`
        }
    )
}

function walKept(name: string, watcher: Watcher | undefined): Check {
    const part = watcher?.keptRatio ?? 0
    return check(
        'node.watch_wal',
        'WAL kept for its slot',
        `${Math.round(part * 100)} %`,
        watcher !== undefined &&
            part > NEARLY && {
                finding: `its slot ${watcher.slot} keeps ${Math.round(part * 100)} % of the WAL it may`,
                why: 'at the bound the slot is made anew, and the feed has a gap: the oldest transaction there holds it back, or the bound is narrow',
                fix: `${AT_HOME}select * from pglobalxact.watch_node(${escapeLiteral(name)}, ${watcher.agreed(2)});`
            }
    )
}
