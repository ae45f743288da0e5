import type { BrokerState, TransportDeps } from '@millrace/core/driver'

/** The time between two log lines about a broker while it is gone. */
const LINE_EVERY_MS = 10_000
/** A broker that no client has tried to reach for this long may have been removed permanently. */
const FORGOTTEN_AFTER_MS = 60_000

interface Broker {
  isReachable: boolean
  /** Since when it is gone, on the monotonic clock. */
  sinceMs: number
  /** When a connection last failed. */
  failedMs: number
  /** Why it cannot be reached. */
  reason: string
  /** Whether the log has a line about this outage. */
  isReported: boolean
}

/**
 * Which brokers answer, as seen by all connections of a transport, and what is logged about it: in an outage one line
 * per broker every ten seconds, and one when the broker is back. Every single attempt is logged at `debug`.
 */
export class BrokerHealth {
  readonly #deps: TransportDeps
  readonly #brokers = new Map<string, Broker>()
  /** When a broker, or another reason to retry, last had a log line. */
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

  /**
   * Logs that something has failed and is retried. `reason` begins with the name of a broker if that broker is at
   * fault.
   */
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

  /** Whether a log line about this is due; if so, it counts as logged now. */
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
