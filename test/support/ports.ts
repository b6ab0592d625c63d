/** Ports below the ephemeral range: no outgoing connection can take one while its server is down. */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

const handedOut = new Set<number>()

export async function freePort(): Promise<number> {
    for (let attempt = 0; attempt < 200; attempt++) {
        const port = randomInt(20_000, 32_000)
        if (!handedOut.has(port) && (await bindable(port))) {
            handedOut.add(port)
            return port
        }
    }
    throw new Error('found no free port between 20000 and 32000')
}

function bindable(port: number): Promise<boolean> {
    return new Promise((resolve) => {
        const server = createServer()
        server.once('error', () => resolve(false))
        server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
}
