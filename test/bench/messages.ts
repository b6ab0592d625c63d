/** What the bench tells its client processes, and what they answer: one answer to each order. */
import type { Places } from './session'

export type Order =
    | {
          readonly kind: 'open'
          readonly variant: string
          readonly places: Places
          /** Of this client's sessions, among all. */
          readonly numbers: readonly number[]
          readonly sessions: number
          readonly firstTag: number
          readonly warmupSeconds: number
      }
    | { readonly kind: 'run'; readonly seconds: number }
    | { readonly kind: 'close' }

export type Answer =
    | { readonly kind: 'opened'; readonly transfers: number }
    | {
          readonly kind: 'ran'
          readonly transfers: number
          /** Those that were done before the time was up. */
          readonly inTime: number
          /** Milliseconds that the commit took, as the program sees it, of each transfer. */
          readonly commits: readonly number[]
          /** The same of the whole transfer. */
          readonly wholes: readonly number[]
          readonly cpuUs: number
      }
    | { readonly kind: 'closed' }
    | { readonly kind: 'failed'; readonly message: string }

export type Ran = Extract<Answer, { kind: 'ran' }>
