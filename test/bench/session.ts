/** One session of a program: its connections, and what it measured. */
import { Client, type QueryConfig, type QueryResult } from 'pg'

/** Of the account table on every server (sql). */
export const ROWS = 10_000

export interface Login {
    readonly host: string
    readonly port: number
    readonly user: string
    readonly password: string
    readonly database: string
}

export interface Places {
    readonly coordinator: Login
    readonly nodes: readonly Login[]
}

export type Statement = string | QueryConfig

/** With pipeline mode statements leave without waiting for each other's answer. */
export async function connect(login: Login): Promise<Client> {
    const client = new Client({ ...login, pipeline: true, application_name: 'bench', ssl: false })
    await client.connect()
    return client
}

interface Corked {
    readonly connection: { readonly stream: { cork: () => void; uncork: () => void } }
}

/** Statements in one flight: one packet, one round trip. All answers are read, then the first error is thrown. */
export async function flight(client: Client, ...statements: readonly Statement[]): Promise<QueryResult[]> {
    const { stream } = (client as unknown as Corked).connection
    stream.cork()
    const sent = statements.map((one) => client.query(one as QueryConfig))
    stream.uncork()
    const answers = await Promise.allSettled(sent)
    return answers.map((answer) => {
        if (answer.status === 'rejected') throw answer.reason
        return answer.value
    })
}

/** All of them, also if one fails: whoever goes on must not leave another under way. */
export async function together<T>(all: readonly Promise<T>[]): Promise<T[]> {
    const ended = await Promise.allSettled(all)
    return ended.map((one) => {
        if (one.status === 'rejected') throw one.reason
        return one.value
    })
}

/** The same for two of different kinds. */
export async function bothOf<A, B>(a: Promise<A>, b: Promise<B>): Promise<readonly [A, B]> {
    await Promise.allSettled([a, b])
    return [await a, await b]
}

export class Session {
    private begun = 0
    private readonly under = new Set<Promise<unknown>>()
    private failure: unknown
    /** Transfers whose commit record is not needed any more. */
    readonly done: number[] = []

    constructor(
        readonly number: number,
        private readonly local: Client | undefined,
        readonly nodes: readonly Client[],
        readonly finishers: readonly Client[],
        readonly branches: number
    ) {}

    get coordinator(): Client {
        if (!this.local) throw new Error('this variant has no connection to the coordinator')
        return this.local
    }

    /** The work is done, the commit begins. */
    committing(): void {
        this.begun = performance.now()
    }

    get committingSince(): number {
        return this.begun
    }

    /** The same statements on every node, at the same time. */
    everywhere(...statements: readonly Statement[]): Promise<QueryResult[][]> {
        return together(this.nodes.map((node) => flight(node, ...statements)))
    }

    /** Goes on while the program does something else. Its failure is the next transfer's. */
    behind(work: Promise<unknown>): void {
        const watched = work.catch((error: unknown) => (this.failure ??= error)).finally(() => this.under.delete(watched))
        this.under.add(watched)
    }

    /** Nothing goes on any more. */
    async idle(): Promise<void> {
        while (this.under.size > 0) await Promise.all(this.under)
        if (this.failure) throw this.failure
    }

    check(): void {
        if (this.failure) throw this.failure
    }

    async close(): Promise<void> {
        await Promise.all([this.local, ...this.nodes, ...this.finishers].map((client) => client?.end()))
    }
}
