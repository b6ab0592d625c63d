/** A TCP proxy in front of a server, to cut, freeze and delay what goes through it. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './ports'

/** Whether the bytes seen have gone to the server ('after') or not ('before') when the action runs. */
export type When = 'before' | 'after'

interface Watch {
    readonly pattern: Buffer
    readonly when: When
    readonly fire: () => void
}

const proxies = new Set<Proxy>()

export async function startProxy(targetPort: number): Promise<Proxy> {
    const proxy = new Proxy(await freePort(), targetPort)
    await proxy.restore()
    proxies.add(proxy)
    return proxy
}

export async function closeAllProxies(): Promise<void> {
    await Promise.all([...proxies].map((proxy) => proxy.close()))
}

export class Proxy {
    /** Sees what clients send, as soon as it arrives: nothing of it has gone on to the server. */
    tap: ((chunk: Buffer) => void) | undefined
    #server: Server | undefined
    #delayMs = 0
    #watches: readonly Watch[] = []
    readonly #sockets = new Set<Socket>()
    /** Closed while black-holed: nothing is written, and no end of a connection is passed on. */
    #gate: { readonly opened: Promise<void>; readonly open: () => void } | undefined

    constructor(
        readonly port: number,
        public targetPort: number
    ) {}

    /** Another server behind the same address, as after a failover: connections are reset, new ones go there. */
    redirect(targetPort: number): void {
        this.targetPort = targetPort
        this.resetAll()
    }

    /** Number of open sockets, on both sides. */
    get sockets(): number {
        return this.#sockets.size
    }

    /** Connections are reset, new ones refused: the host is up, the server is not. */
    async cut(): Promise<void> {
        const server = this.#server
        this.#server = undefined
        const closed = server && new Promise((resolve) => server.close(resolve))
        this.resetAll()
        this.#open()
        await closed
    }

    /**
     * Connections stay and new ones are accepted, but nothing passes: no data, no FIN, no RST.
     * Takes effect at once. What arrives meanwhile is delivered by restore(), as after a
     * network partition; resetAll() first makes it lost.
     */
    blackhole(): void {
        if (this.#gate) return
        let open = (): void => {}
        const opened = new Promise<void>((resolve) => {
            open = resolve
        })
        this.#gate = { opened, open }
    }

    /** Undoes cut() and blackhole(). */
    async restore(): Promise<void> {
        this.#open()
        if (this.#server) return
        const server = createServer({ allowHalfOpen: true }, (client) => void this.#accept(client))
        this.#server = server
        await new Promise<void>((resolve, reject) => {
            server.once('error', reject)
            server.listen(this.port, '127.0.0.1', resolve)
        })
    }

    /** Delays every chunk, in both directions. */
    delay(ms: number): void {
        this.#delayMs = ms
    }

    /** Resets all connections; new ones are served. Bytes held by a black hole are lost. */
    resetAll(): void {
        for (const socket of this.#sockets) socket.resetAndDestroy()
    }

    /**
     * Once a client sends `pattern`, runs `action` (one time), just before or after those
     * bytes go on to the server. No answer can pass in between, so `'after'` with blackhole()
     * loses the answer to a command that the server has carried out. Resolves when it has run.
     */
    onClientData(pattern: string | Buffer, when: When, action: () => void): Promise<void> {
        return new Promise((resolve, reject) => {
            const fire = (): void => {
                try {
                    action()
                    resolve()
                } catch (error) {
                    reject(error instanceof Error ? error : new Error(String(error)))
                }
            }
            this.#watches = [...this.#watches, { pattern: Buffer.from(pattern as string), when, fire }]
        })
    }

    async close(): Promise<void> {
        proxies.delete(this)
        await this.cut()
    }

    #open(): void {
        this.#gate?.open()
        this.#gate = undefined
    }

    /** Waits while black-holed. The last check and what the caller does next are one tick. */
    async #passable(): Promise<void> {
        while (this.#gate) await this.#gate.opened
    }

    async #accept(client: Socket): Promise<void> {
        this.#track(client)
        await this.#passable()
        if (client.destroyed) return
        const server = connect({ port: this.targetPort, host: '127.0.0.1', allowHalfOpen: true })
        this.#track(server)
        void this.#pump(client, server, true)
        void this.#pump(server, client, false)
    }

    #track(socket: Socket): void {
        this.#sockets.add(socket)
        socket.setNoDelay(true)
        socket.on('error', () => {
            /* the pump that reads it passes the end on */
        })
        socket.once('close', () => this.#sockets.delete(socket))
    }

    async #pump(from: Socket, to: Socket, fromClient: boolean): Promise<void> {
        try {
            let tail: Buffer = Buffer.alloc(0)
            for await (const data of from.iterator({ destroyOnReturn: false })) {
                const chunk = data as Buffer
                if (fromClient) this.tap?.(chunk)
                if (this.#delayMs > 0) await sleep(this.#delayMs)
                const seen = fromClient ? this.#seen(tail, chunk) : []
                if (fromClient) tail = Buffer.concat([tail, chunk]).subarray(-256)
                for (const watch of seen) if (watch.when === 'before') watch.fire()
                await this.#passable()
                const room = to.write(chunk)
                for (const watch of seen) if (watch.when === 'after') watch.fire()
                if (!room) await drained(to)
            }
            await this.#passable()
            to.end()
        } catch {
            await this.#passable()
            to.resetAndDestroy()
        }
    }

    /** Takes the watches whose pattern ends in this chunk: each fires one time, none on bytes gone by. */
    #seen(tail: Buffer, chunk: Buffer): readonly Watch[] {
        if (this.#watches.length === 0) return []
        const bytes = Buffer.concat([tail, chunk])
        const seen = this.#watches.filter(({ pattern }) => bytes.includes(pattern, Math.max(0, tail.length + 1 - pattern.length)))
        if (seen.length > 0) this.#watches = this.#watches.filter((watch) => !seen.includes(watch))
        return seen
    }
}

function drained(socket: Socket): Promise<void> {
    return new Promise((resolve) => {
        if (socket.destroyed) return resolve()
        socket.once('drain', resolve)
        socket.once('close', resolve)
    })
}
