/** The client processes, from the bench's side. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { cleanEnv, register } from '../support/workdir'
import type { Answer, Order } from './messages'

export class Fleet {
    private readonly clients: readonly ChildProcess[]

    constructor(readonly size: number) {
        this.clients = Array.from({ length: size }, () => {
            const child = fork(join(__dirname, 'client.ts'), {
                cwd: resolve(__dirname, '..', '..'),
                env: cleanEnv(),
                execArgv: ['--require', 'ts-node/register/transpile-only']
            })
            register(child, 'client of the bench', 'KILL')
            return child
        })
    }

    /** The same order to every client, or one made for it by its number. All answers; the first failure is thrown. */
    async all<K extends Answer['kind']>(kind: K, order: Order | ((client: number) => Order)): Promise<Extract<Answer, { kind: K }>[]> {
        const answers = await Promise.all(this.clients.map((child, n) => ask(child, typeof order === 'function' ? order(n) : order)))
        return answers.map((answer) => {
            if (answer.kind === 'failed') throw new Error(`a client failed: ${answer.message}`)
            if (answer.kind !== kind) throw new Error(`a client answered "${answer.kind}", not "${kind}"`)
            return answer as Extract<Answer, { kind: K }>
        })
    }

    async end(): Promise<void> {
        await Promise.all(
            this.clients.map(async (child) => {
                if (!child.connected) return
                const gone = once(child, 'exit')
                child.disconnect()
                await gone
            })
        )
    }
}

function ask(child: ChildProcess, order: Order): Promise<Answer> {
    return new Promise((done) => {
        const exited = (): void => done({ kind: 'failed', message: 'it exited' })
        child.once('exit', exited)
        child.once('message', (answer: Answer) => {
            child.off('exit', exited)
            done(answer)
        })
        child.send(order)
    })
}
