const GOLDEN = 0.6180339887498949 // its multiples, without their whole parts, lie as evenly as can be however many there are

/**
 * Milliseconds until a node's next look. Each node has its place in the interval and keeps it, so a hundred nodes are looked at one after
 * the other and not all at once, however long a look takes, and one that takes long delays no other's. Two coordinators have different
 * places for the nodes that they share. At least half an interval lies between two looks, at most one and a half; one interval, while
 * looks are short.
 */
export function untilTurn(now: number, interval: number, node: number, coordinator: string): number {
    const place = ((node * GOLDEN + Number.parseInt(coordinator, 16) / 2 ** 32) % 1) * interval
    const soonest = now + interval / 2
    const wait = (place - soonest) % interval
    return interval / 2 + (wait < 0 ? wait + interval : wait)
}
