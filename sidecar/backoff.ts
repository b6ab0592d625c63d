/**
 * Milliseconds until the next try after `failures` of them: twice as long each time, up to a cap, and spread, so that what
 * failed together does not come back together.
 */
export function patience(first: number, failures: number, cap: number): number {
    return Math.min(cap, first * 2 ** Math.min(failures - 1, 20)) * (0.5 + Math.random() / 2)
}
