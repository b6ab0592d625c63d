/** What a server's clock said, with this host's clock before and after. Milliseconds since 1970. */
export interface Reading {
    readonly clock: number
    readonly asked: number
    readonly answered: number
}

/**
 * How many milliseconds one server's clock is ahead of another's; negative when it is behind. What the round trips of the two readings
 * may account for is taken off, towards 0: clocks are at least so far apart, as this host's goes on evenly between the readings.
 */
export function aheadOf(one: Reading, other: Reading): number {
    const apart = offset(one) - offset(other)
    const doubt = (one.answered - one.asked + other.answered - other.asked) / 2
    return Math.sign(apart) * Math.max(Math.abs(apart) - doubt, 0)
}

const offset = ({ clock, asked, answered }: Reading): number => clock - (asked + answered) / 2
