import type { Logger } from '@millrace/core'
import type { CurrentEvent } from '@millrace/worker'

const LATE_BY_HEADER = 'millrace-late-by'

export interface LateRecordsOptions {
  /** For messages. */
  readonly where: string
  /** Receives the records. */
  readonly sink: { readonly name: string } | undefined
}

/** The counter of late events. */
export interface LateCounts {
  late: number
}

/** Events that came too late to be matched in a join. */
export class LateRecords {
  readonly #options: LateRecordsOptions
  #isReported = false

  constructor(options: LateRecordsOptions) {
    this.#options = options
  }

  /** Counts the event once it has finished, and sends its record to the sink. The first one is logged. */
  hold(event: CurrentEvent, lateByMs: number, to: { readonly counts: LateCounts; readonly log: Logger }): void {
    const count = (): void => {
      to.counts.late++
      if (!this.#isReported) this.#report(event, lateByMs, to.log)
    }
    event.hold({ apply: count, drop: () => {} })
    const { sink } = this.#options
    if (sink === undefined) return
    const { key, value, headers, timestamp } = event.record
    const lateBy = [LATE_BY_HEADER, Buffer.from(String(lateByMs))] as const
    event.send({ topic: sink.name, key, value, headers: [...headers, lateBy], timestamp, partition: undefined })
  }

  #report({ topic, partition, offset, timestamp, agent }: CurrentEvent, lateByMs: number, log: Logger): void {
    this.#isReported = true
    const { where, sink } = this.#options
    const end = sink === undefined ? 'It is dropped' : `It goes to topic "${sink.name}"`
    log.warn(
      { agent, topic, partition, offset, lateByMs },
      `The event ${topic}/${partition}@${offset} of ${new Date(timestamp).toISOString()} came ${lateByMs} ms too late for ${where} (grace). ${end}, and so do later ones; they are counted as late.`,
    )
  }
}
