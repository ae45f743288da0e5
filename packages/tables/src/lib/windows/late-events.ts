import type { Logger } from '@millrace/core'
import type { CurrentEvent } from '@millrace/worker'
import { WINDOW_HEADER } from '@millrace/state'
import type { LateSink, Window } from './window-options.ts'

const LATE_BY_HEADER = 'millrace-late-by'

/** A window that an event has missed. */
export interface MissedWindow extends Window {
  /** How far event time was beyond the window's close. */
  readonly lateByMs: number
}

export interface LateEventsOptions {
  readonly table: string
  /** The table, for messages. */
  readonly where: string
  readonly sink: LateSink | undefined
  readonly log: () => Logger | undefined
}

/** The events of one windowed table that came too late for all of their windows. */
export class LateEvents {
  readonly #options: LateEventsOptions
  #count = 0

  constructor(options: LateEventsOptions) {
    this.#options = options
  }

  /** Late events that have finished in this process. */
  get count(): number {
    return this.#count
  }

  /** Counts the event once it has finished, and sends its record to the sink. The first one is logged. */
  hold(event: CurrentEvent, missed: MissedWindow): void {
    const count = (): void => {
      if (this.#count++ === 0) this.#warn(event, missed)
    }
    event.hold({ apply: count, drop: () => {} })
    const { sink } = this.#options
    if (sink !== undefined) sendLate(sink, event, missed)
  }

  #warn({ topic, partition, offset, timestamp }: CurrentEvent, missed: MissedWindow): void {
    const { table, where, sink, log } = this.#options
    const end = sink === undefined ? 'It is dropped' : `It goes to topic "${sink.name}"`
    log()?.warn(
      { table, topic, partition, offset, ...missed },
      `The event ${topic}/${partition}@${offset} of ${new Date(timestamp).toISOString()} came ${missed.lateByMs} ms after ${where} had closed the last window for it (grace). ${end}, and so do later ones; they are counted as late.`,
    )
  }
}

/** Sends the record of a late event to the sink unchanged, with headers that name the window it missed. */
function sendLate(sink: LateSink, event: CurrentEvent, { start, end, lateByMs }: MissedWindow): void {
  const { key, value, headers, timestamp } = event.record
  event.send({
    topic: sink.name,
    key,
    value,
    headers: [
      ...headers,
      [WINDOW_HEADER, Buffer.from(`${start}/${end}`)],
      [LATE_BY_HEADER, Buffer.from(String(lateByMs))],
    ],
    timestamp,
    partition: undefined,
  })
}
