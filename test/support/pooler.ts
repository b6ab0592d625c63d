/**
 * A connection pooler of the kind people put before PostgreSQL. In transaction mode a client has a session of the
 * server for one transaction only; in session mode a client keeps its own. Either way it answers with cancel keys
 * of its own, as poolers do. Logins are passed through, so it needs no password.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from './ports'

type Mode = 'session' | 'transaction'

interface Backend {
    readonly socket: Socket
    client: Client | undefined
}

interface Client {
    readonly socket: Socket
    readonly waiting: Buffer[]
    backend: Backend | undefined
    /** Answers "ready" still to come. */
    owed: number
    fresh: boolean
}

export async function startPooler(targetPort: number, mode: Mode): Promise<Pooler> {
    const pooler = new Pooler(await freePort(), targetPort, mode)
    await pooler.open()
    return pooler
}

export class Pooler {
    readonly #server: Server
    readonly #sockets = new Set<Socket>()
    readonly #idle: Backend[] = []
    readonly #queue: Client[] = []

    constructor(
        readonly port: number,
        private readonly targetPort: number,
        private readonly mode: Mode
    ) {
        this.#server = createServer((socket) => this.#accept(socket))
    }

    open(): Promise<void> {
        return new Promise((done) => this.#server.listen(this.port, '127.0.0.1', done))
    }

    async close(): Promise<void> {
        const closed = new Promise((done) => this.#server.close(done))
        for (const socket of this.#sockets) socket.destroy()
        await closed
    }

    #accept(socket: Socket): void {
        const backend: Backend = { socket: connect(this.targetPort, '127.0.0.1'), client: undefined }
        const client: Client = { socket, waiting: [], backend, owed: 1, fresh: true }
        backend.client = client
        for (const one of [socket, backend.socket]) {
            this.#sockets.add(one)
            one.on('error', () => undefined)
            one.once('close', () => this.#sockets.delete(one))
        }
        // A client that leaves takes its session along only while it has it: in transaction mode others may go on with it.
        socket.once('close', () => client.backend?.socket.destroy())
        backend.socket.once('close', () => backend.client?.socket.destroy())
        readMessages(socket, true, (message, started) => this.#fromClient(client, message, started))
        readMessages(backend.socket, false, (message) => this.#fromServer(backend, message))
    }

    #fromClient(client: Client, message: Buffer, started: boolean): void {
        const kind = started ? String.fromCharCode(message[0]!) : ''
        if (kind === 'X') return void client.socket.end()
        if (kind === 'Q' || kind === 'S') client.owed += 1
        client.waiting.push(message)
        if (client.backend === undefined && !this.#queue.includes(client)) this.#queue.push(client)
        this.#serve()
        this.#flush(client)
    }

    /** The session used last is used again, as poolers have it: it takes two transactions at once to get another. */
    #serve(): void {
        while (this.#queue.length > 0 && this.#idle.length > 0) {
            const [client, backend] = [this.#queue.shift()!, this.#idle.pop()!]
            client.backend = backend
            backend.client = client
            this.#flush(client)
        }
    }

    #flush(client: Client): void {
        if (client.backend === undefined) return
        for (const message of client.waiting.splice(0)) client.backend.socket.write(message)
    }

    #fromServer(backend: Backend, message: Buffer): void {
        const { client } = backend
        if (client === undefined) return
        const kind = String.fromCharCode(message[0]!)
        if (kind === 'K') message.writeUInt32BE(4_000_000 + this.port, 5)
        client.socket.write(message)
        if (kind !== 'Z') return
        client.owed -= 1
        if (this.mode === 'session' || client.owed > 0 || message[5] !== 'I'.charCodeAt(0)) return
        backend.client = undefined
        client.backend = undefined
        // One that has just logged in is a reserve.
        if (client.fresh) this.#idle.unshift(backend)
        else this.#idle.push(backend)
        client.fresh = false
        this.#serve()
    }
}

/** Cuts a stream of the protocol into messages; a client's first ones (TLS request, startup) have no kind. */
function readMessages(socket: Socket, fromClient: boolean, handle: (message: Buffer, started: boolean) => void): void {
    let rest: Buffer = Buffer.alloc(0)
    let started = !fromClient
    socket.on('data', (data: Buffer) => {
        rest = Buffer.concat([rest, data])
        for (;;) {
            const head = started ? 1 : 0
            if (rest.length < head + 4) return
            const length = head + rest.readUInt32BE(head)
            if (rest.length < length) return
            const message = Buffer.from(rest.subarray(0, length))
            rest = rest.subarray(length)
            if (!started && message.readUInt32BE(4) === 80877103) {
                socket.write('N') // no TLS here
                continue
            }
            handle(message, started)
            started = true
        }
    })
}
