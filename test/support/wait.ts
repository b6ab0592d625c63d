/** Waiting for a condition with a deadline: tests never sleep for a guessed time. */
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'

export interface UntilOptions {
    readonly timeoutMs?: number
    readonly everyMs?: number
}

type Falsy = false | 0 | 0n | '' | null | undefined

/**
 * Calls `probe` until it returns a truthy value, and returns that value.
 * An exception counts as "not yet". After the deadline the error names the description
 * and what the last call returned or threw.
 */
export async function until<T>(
    description: string,
    probe: () => T | Promise<T>,
    { timeoutMs = 20_000, everyMs = 20 }: UntilOptions = {}
): Promise<Exclude<T, Falsy>> {
    const deadline = Date.now() + timeoutMs
    let last = 'nothing yet: the first call did not return'
    const calls = (async (): Promise<Exclude<T, Falsy> | undefined> => {
        while (Date.now() < deadline) {
            try {
                const value = await probe()
                if (value) return value as Exclude<T, Falsy>
                last = `last value: ${inspect(value, { depth: 4 })}`
            } catch (error) {
                last = `last error: ${error instanceof Error ? error.message : inspect(error)}`
            }
            await sleep(everyMs)
        }
        return undefined
    })()
    // A probe that hangs (a query on a paused server) must not outlive the deadline either.
    const value = await within(calls, timeoutMs + 1_000)
    if (value === undefined) {
        throw new Error(`waited ${timeoutMs} ms in vain until ${description}; ${last}`)
    }
    return value
}

/** The promise's value, or undefined once `ms` have passed. Leaves no timer behind. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
    const timer = new AbortController()
    const late = sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined)
    try {
        return await Promise.race([promise, late])
    } finally {
        timer.abort()
    }
}
