import type { EventTrace } from '@millrace/core'
import type { InFlight, ReplyRequest } from './in-flight.ts'

interface Carried {
  readonly request: ReplyRequest
  readonly event: InFlight
  isAnswered: boolean
}

/** The requests of the events of a batch, in the order of the events. Most events carry none, and have no replies. */
export class Replies {
  readonly #carried: (Carried | undefined)[]
  #yields = 0
  #lastYield: unknown = undefined

  private constructor(carried: (Carried | undefined)[]) {
    this.#carried = carried
  }

  static to(request: ReplyRequest | undefined, event: InFlight): Replies | undefined {
    return request === undefined ? undefined : new Replies([{ request, event, isAnswered: false }])
  }

  /** Joins the replies of batches that become one: `count` is the number of events in each. */
  static together(
    all: readonly { readonly replies: Replies | undefined; readonly count: number }[],
  ): Replies | undefined {
    if (all.every(({ replies }) => replies === undefined)) return undefined
    const none = (count: number): undefined[] => Array.from({ length: count }, () => undefined)
    return new Replies(all.flatMap(({ replies, count }) => (replies === undefined ? none(count) : replies.#carried)))
  }

  /** The agent has yielded: the nth yield answers the nth event. */
  yielded(value: unknown): void {
    const carried = this.#carried[this.#yields]
    this.#yields++
    this.#lastYield = value
    if (carried !== undefined) answer(carried, value)
  }

  /** Drops replies together with the other effects. */
  reset(): void {
    for (const carried of this.#carried) if (carried !== undefined) carried.isAnswered = false
  }

  /** The events finish. A single yield for a whole batch answers every asker in it. */
  close(): void {
    for (const carried of this.#carried) {
      if (carried === undefined) continue
      if (this.#yields === 1) answer(carried, this.#lastYield)
      carried.request.close(carried.event, carried.isAnswered)
      carried.isAnswered = true
    }
  }

  /** The agent has failed permanently: askers are notified at once. */
  async refuse(error: Error, trace: EventTrace | undefined): Promise<void> {
    for (const carried of this.#carried) {
      if (carried === undefined || carried.isAnswered) continue
      carried.isAnswered = true
      await carried.request.refuse(error, trace)
    }
  }

  /** Another event, in a repartition topic, carries the first request on. */
  passOn(): void {
    this.#carried[0] = undefined
  }
}

function answer(carried: Carried, value: unknown): void {
  if (carried.isAnswered) return
  carried.request.answer(value, carried.event)
  carried.isAnswered = true
}
