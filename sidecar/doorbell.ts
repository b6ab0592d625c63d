import createSubscriber, { type Subscriber } from 'pg-listen'
import type { ConnectionConfig } from './connection'
import type { Log } from './log'

const CHANNEL = 'pglobalxact'
const ECHO_CHANNEL = 'pglobalxact_echo'

/**
 * LISTEN for hints to look. A notification carries nothing, anyone may send one, and losing all of them costs only the
 * wait for the next slow look. The subscription is proved by an echo: a notification to itself that must come back.
 */
export class Doorbell {
    private rung = false
    private wake: (() => void) | undefined
    private subscriber: Subscriber | undefined
    private echoes = 0
    private echoed = 0

    constructor(
        private readonly config: ConnectionConfig,
        private readonly log: Log
    ) {}

    /** Listens from now on, reconnecting by itself; failing to is not an error, as the slow look goes on. */
    async open(): Promise<void> {
        const subscriber = createSubscriber({ ...this.config, application_name: 'pglobalxact sidecar (doorbell)' },
            // For ever: giving up after a while would leave only the slow look. Payloads are not read.
            { retryTimeout: 0, retryInterval: 500, paranoidChecking: false, parse: (payload: string) => payload, serialize: String })
        subscriber.events.on('error', (error: Error) => this.log.warning('doorbell', { error: error.message }))
        subscriber.events.on('connected', () => this.ring())
        subscriber.notifications.on(CHANNEL, () => this.ring())
        subscriber.notifications.on(ECHO_CHANNEL, () => (this.echoed = this.echoes))
        await subscriber.connect()
        await subscriber.listenTo(CHANNEL)
        await subscriber.listenTo(ECHO_CHANNEL)
        this.subscriber = subscriber
    }

    ring(): void {
        this.rung = true
        this.wake?.()
    }

    /** Waits for a ring, at most `ms`. A ring since the last wait counts. */
    async wait(ms: number): Promise<void> {
        if (!this.rung) {
            await new Promise<void>((done) => {
                const timer = setTimeout(done, ms)
                this.wake = () => {
                    clearTimeout(timer)
                    done()
                }
            })
            this.wake = undefined
        }
        this.rung = false
    }

    /** True while echoes come back. */
    async alive(): Promise<boolean> {
        const alive = this.echoes === this.echoed
        this.echoes += 1
        await this.subscriber?.notify(ECHO_CHANNEL, '').catch(() => undefined)
        return alive
    }

    close(): void {
        // While it reconnects, closing would hang: nobody waits for it.
        void this.subscriber?.close().catch(() => undefined)
        this.subscriber = undefined
    }
}
