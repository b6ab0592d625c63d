/** What the long runs share: their options, and leaving nothing behind. */
import { destroyAllClusters } from '../support/cluster'
import { signal } from '../support/proctree'
import { closeAllProxies } from '../support/proxy'
import { livingChildren, removeWorkDir } from '../support/workdir'

/** A whole number given by a variable of the environment, as make passes it on. */
export function number(name: string, fallback: number): number {
    const text = process.env[name]
    if (text === undefined || text === '') return fallback
    if (!/^[1-9]\d{0,9}$/.test(text)) throw new Error(`${name} is "${text}": give a whole number above 0`)
    return Number(text)
}

export const flag = (name: string): boolean => /^(1|yes|true|on)$/i.test(process.env[name] ?? '')

/** Runs `main` and ends the process: with status 0 if it returns 0, whatever it left open. */
export async function tearDown(main: () => Promise<number>): Promise<never> {
    let status = 1
    try {
        status = (await main()) === 0 ? 0 : 1
    } catch (error) {
        console.error(error)
        console.log('0 passed, 1 failed')
    }
    for (const [pid] of livingChildren()) signal(pid, 'SIGCONT')
    await closeAllProxies()
    await destroyAllClusters()
    for (const [pid] of livingChildren()) signal(pid, 'SIGKILL')
    removeWorkDir()
    process.exit(status)
}
