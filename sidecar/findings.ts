/** What the sidecar's part of doctor() can find: each kind is declared once, here. Pure. */

export type Severity = 'error' | 'warning' | 'advice'

/** How grave each is. error: sets cannot work, or their atomicity is at risk. */
export const FINDINGS = {
    'sidecar.version': 'error',
    'sidecar.directory_open': 'error',
    'sidecar.file_owner': 'error',
    'sidecar.cannot_write': 'error',
    'sidecar.disk_space': 'warning',
    'sidecar.not_durable': 'advice',
    'sidecar.clock': 'warning',
    'sidecar.cannot_connect': 'error',
    'sidecar.pooler': 'error',
    'sidecar.in_between': 'advice',
    'sidecar.doorbell': 'warning',
    'sidecar.deadline': 'warning',
    'sidecar.backlog': 'warning',
    'node.unreachable': 'error',
    'node.fence': 'error',
    'node.fence_squatted': 'warning',
    'node.version': 'error',
    'node.standby': 'error',
    'node.slots_off': 'error',
    'node.slots_short': 'warning',
    'node.slots_few': 'advice',
    'node.owners': 'error',
    'node.careless': 'error',
    'node.asynchronous_standby': 'warning',
    'node.foreign_prepared': 'warning',
    'node.wal_kept': 'warning',
    'node.deadline': 'advice',
    'node.clock': 'warning',
    'node.pooler': 'error',
    'node.in_between': 'advice',
    'node.watchful': 'advice',
    'node.tls': 'advice',
    'node.connect_timeout': 'warning',
    'node.commit_wait': 'warning',
    'node.watch': 'warning',
    'node.watch_wal': 'warning'
} as const satisfies Readonly<Record<string, Severity>>

export type Key = keyof typeof FINDINGS

/** A check that was made, and what it found. */
export interface Check {
    readonly key: Key
    /** What was looked at, as check_node() names it. */
    readonly item: string
    /** What is there, good or bad. */
    readonly detail: string
    /** Each thing that is wrong; none when all is well. */
    readonly troubles: readonly Trouble[]
}

export interface Trouble {
    readonly finding: string
    readonly why: string
    /** Ready to paste: SQL, to be run at the place of the finding unless a comment says where; or a shell command, without ";" at its end. */
    readonly fix: string
}

/** The row of a check as _doctor() returns it. */
export interface Row {
    readonly key: Key
    readonly found: boolean
    readonly severity: Severity
    readonly place: string
    readonly finding: string
    readonly why: string
    readonly fix: string
}

export const check = (key: Key, item: string, detail: string, ...troubles: readonly (Trouble | false)[]): Check => ({
    key,
    item,
    detail,
    troubles: troubles.filter((one) => one !== false)
})

export const rowsOf = (place: string, checks: readonly Check[]): readonly Row[] =>
    checks.flatMap(({ key, troubles }): readonly Row[] =>
        troubles.length === 0
            ? [{ key, found: false, severity: FINDINGS[key], place, finding: '', why: '', fix: '' }]
            : troubles.map((trouble) => ({ key, found: true, severity: FINDINGS[key], place, ...trouble }))
    )

export const isGrave = ({ key, troubles }: Check): boolean => troubles.length > 0 && FINDINGS[key] !== 'advice'

const LARGEST_SKEW = 2000 // ms

/** Clocks are compared across a round trip: what it may account for is not held against them. */
export function skewOf(theirs: number, before: number, after: number): number | undefined {
    const skew = theirs - (before + after) / 2
    return Math.abs(skew) - (after - before) / 2 > LARGEST_SKEW ? Math.round(skew / 100) / 10 : undefined
}

/** One word for a shell. */
export const shellWord = (word: string): string => (/^[\w./:@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

const plural = (count: number): string => (count === 1 ? '' : 's')
export const counted = (count: number, what: string): string => `${count} ${what}${plural(count)}`
