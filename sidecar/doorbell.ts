import { randomUUID } from 'node:crypto'
import createSubscriber, { type Subscriber } from 'pg-listen'
import type { ConnectionConfig } from './connection'
import type { Log } from './log'
import { messageOf } from './sqlstate'

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
    private reconnecting = false
    private echoes = 0
    private echoed = 0

    constructor(
        private readonly config: ConnectionConfig,
        private readonly log: Log
    ) {}

    /** Listens from now on, if it does not yet. Failing to is not an error: the slow look goes on, and it is tried again. */
    async open(): Promise<void> {
        if (this.subscriber !== undefined) return
        const subscriber = createSubscriber(
            { ...this.config, application_name: 'pglobalxact sidecar (doorbell)' },
            // For ever: giving up after a while would leave only the slow look. Payloads are not read.
            { retryTimeout: 0, retryInterval: 500, paranoidChecking: false, parse: (payload: string) => payload, serialize: String }
        )
        this.subscriber = subscriber
        // It says "error" when it has stopped reconnecting: a LISTEN failed just behind a connect.
        subscriber.events.on('error', (error: Error) => this.drop(subscriber, error.message))
        subscriber.events.on('reconnect', () => (this.reconnecting = true))
        subscriber.events.on('connected', () => {
            this.reconnecting = false
            this.ring()
        })
        subscriber.notifications.on(CHANNEL, () => this.ring())
        subscriber.notifications.on(ECHO_CHANNEL, () => (this.echoed = this.echoes))
        const steps = [await settled(subscriber.connect())]
        // After a failed connect it may reconnect by itself: then it needs to know the channels all the same.
        for (const channel of [CHANNEL, ECHO_CHANNEL]) steps.push(await settled(subscriber.listenTo(channel)))
        const trouble = steps.find((step) => step !== undefined)
        if (trouble !== undefined && !this.reconnecting) this.drop(subscriber, trouble)
        this.ring()
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

    /** True while echoes come back; when one stays away, the subscription is given up and the next open() makes another. */
    alive(): boolean {
        const { subscriber } = this
        if (subscriber === undefined || this.reconnecting) return false
        if (this.echoes !== this.echoed) {
            this.drop(subscriber, 'no echo')
            return false
        }
        this.echoes += 1
        void settled(subscriber.notify(ECHO_CHANNEL, ''))
        return true
    }

    /** Whether a notification to itself comes back within `ms`. */
    async answers(ms: number): Promise<boolean> {
        const { subscriber } = this
        if (subscriber === undefined || this.reconnecting) return false
        const payload = randomUUID()
        const { notifications } = subscriber
        let hear = (_said: unknown): void => undefined
        let timer: NodeJS.Timeout | undefined
        const heard = new Promise<boolean>((done) => {
            hear = (said) => {
                if (said === payload) done(true)
            }
            timer = setTimeout(() => done(false), ms)
        })
        notifications.on(ECHO_CHANNEL, hear)
        void settled(subscriber.notify(ECHO_CHANNEL, payload))
        return heard.finally(() => {
            clearTimeout(timer)
            notifications.removeListener(ECHO_CHANNEL, hear)
        })
    }

    close(): void {
        if (this.subscriber !== undefined) this.drop(this.subscriber, undefined)
    }

    private drop(subscriber: Subscriber, trouble: string | undefined): void {
        if (this.subscriber !== subscriber) return
        if (trouble !== undefined) this.log.warning('doorbell', { error: trouble })
        this.subscriber = undefined
        this.reconnecting = false
        this.echoes = this.echoed = 0
        // While it reconnects, closing would hang: nobody waits for it.
        void settled(subscriber.close())
    }
}

/** Undefined when it succeeds, else why not. */
const settled = (work: Promise<unknown> | undefined): Promise<string | undefined> => Promise.resolve(work).then(() => undefined, messageOf)
