import type { BrokerState, TransportDeps } from '@millrace/core/driver'

/** From one line about a broker to the next one while it is gone. */
const LINE_EVERY_MS = 10_000
/** A broker that nobody has tried to reach for so long may have been taken away for good. */
const FORGOTTEN_AFTER_MS = 60_000

interface Broker {
  isReachable: boolean
  /** Since when, on the monotonic clock. */
  sinceMs: number
  /** When a connection has failed last. */
  failedMs: number
  /** Why it is not. */
  reason: string
  /** Whether the log has a line about it since it is gone. */
  isReported: boolean
}

/**
 * Which brokers answer, as all connections of a transport have found out, and what the log says of it: in an outage one
 * line for each broker every ten seconds, and one when it is back. Every single try is logged as `debug`.
 */
export class BrokerHealth {
  readonly #deps: TransportDeps
  readonly #brokers = new Map<string, Broker>()
  /** When there was a line about a broker, or about another reason to try again. */
  readonly #lines = new Map<string, number>()

  constructor(deps: TransportDeps) {
    this.#deps = deps
  }

  get states(): readonly BrokerState[] {
    const nowMs = this.#deps.clock.monotonic()
    return [...this.#brokers]
      .filter(([, { isReachable, failedMs }]) => isReachable || nowMs - failedMs < FORGOTTEN_AFTER_MS)
      .map(([broker, { isReachable, sinceMs }]) => ({ broker, isReachable, forMs: nowMs - sinceMs }))
  }

  /** A connection to this broker could not be opened, was lost, or had no answer. */
  failed(broker: string, reason: string): void {
    const known = this.#brokers.get(broker)
    const nowMs = this.#deps.clock.monotonic()
    const isNews = known === undefined || known.isReachable
    const since = isNews ? { sinceMs: nowMs, isReported: false } : known
    this.#brokers.set(broker, { ...since, isReachable: false, failedMs: nowMs, reason })
  }

  /** A connection to this broker was opened. */
  answered(broker: string): void {
    const { clock, log } = this.#deps
    const known = this.#brokers.get(broker)
    if (known?.isReachable === true) return
    const sinceMs = clock.monotonic()
    this.#brokers.set(broker, { isReachable: true, sinceMs, failedMs: 0, reason: '', isReported: false })
    if (known?.isReported !== true) return
    const goneMs = Math.round(sinceMs - known.sinceMs)
    log.warn({ broker, goneMs }, `Kafka broker ${broker} is back after ${seconds(goneMs)}.`)
  }

  /** Something has failed and is tried again. `reason` begins with the name of a broker if it is one that is to blame. */
  trying(what: string, reason: string): void {
    const { clock, log } = this.#deps
    const nowMs = clock.monotonic()
    const gone = [...this.#brokers].filter(
      ([, { isReachable, failedMs }]) => !isReachable && nowMs - failedMs < FORGOTTEN_AFTER_MS,
    )
    for (const [broker, known] of gone) {
      if (!this.#isDue(broker, nowMs)) continue
      known.isReported = true
      const goneMs = Math.round(nowMs - known.sinceMs)
      const since = goneMs === 0 ? '' : ` It has been gone for ${seconds(goneMs)}.`
      log.warn(
        { broker, goneMs },
        `Kafka broker ${broker} cannot be reached: ${known.reason}${since} Waiting: ${what}.`,
      )
    }
    const isTold = gone.some(([broker]) => reason.startsWith(broker))
    const level = !isTold && this.#isDue(reason, nowMs) ? 'warn' : 'debug'
    log[level]({}, `Kafka: ${what}: ${reason} Trying again.`)
  }

  /** Whether there was no line about it for a while; if so there is one now. */
  #isDue(subject: string, nowMs: number): boolean {
    for (const [other, atMs] of this.#lines) if (nowMs - atMs >= LINE_EVERY_MS) this.#lines.delete(other)
    if (this.#lines.has(subject)) return false
    this.#lines.set(subject, nowMs)
    return true
  }
}

function seconds(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${Math.round(ms / 100) / 10} s`
}
