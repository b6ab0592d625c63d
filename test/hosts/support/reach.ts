/** Whether hosts can be had here at all: one that is reached from here, and another by its name. Else nothing would be proved. */
import { connect } from 'node:net'
import { NotHere } from '../stage/daemon'
import { Host } from './host'
import { Lan } from './lan'
import { NODE } from './layout'

/** Nobody listens there: an answer is a refusal. */
const PORT = 9

const REACH = (host: string): string =>
    `require('node:net').connect({ host: '${host}', port: ${PORT}, timeout: 5000 }).on('timeout', () => process.exit(1))` +
    `.on('error', (e) => process.exit(e.code === 'ECONNREFUSED' ? 0 : 1))`

export async function checkReach(): Promise<void> {
    const cannot = (what: string) => (error: unknown) => {
        throw new NotHere(`${what}: ${error instanceof Error ? error.message : String(error)}`)
    }
    const lan = await Lan.create().catch(cannot('the Docker daemon makes no network'))
    const hosts: Host[] = []
    try {
        for (const name of ['x', 'y'])
            hosts.push(await Host.start({ name, lans: [lan] }).catch(cannot('the Docker daemon starts no container')))
        const [x, y] = hosts
        if (!(await answers(x!.address))) throw new NotHere(`this machine cannot reach a container at its address (${x!.address})`)
        const { code, output } = await y!.run(NODE, '-e', REACH('x'))
        if (code !== 0) throw new NotHere(`a container cannot reach another one by its name ${output}`.trim())
    } finally {
        for (const host of hosts) await host.remove()
        await lan.remove()
    }
}

function answers(host: string): Promise<boolean> {
    return new Promise((done) => {
        const socket = connect({ host, port: PORT, timeout: 5000 })
        const end = (answered: boolean): void => {
            socket.destroy()
            done(answered)
        }
        socket.once('connect', () => end(true))
        socket.once('timeout', () => end(false))
        socket.once('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED'))
    })
}
