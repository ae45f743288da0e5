import type { CurrentEvent, Effect } from '@millrace/worker'
import { WINDOW_HEADER } from '@millrace/state'
import type { LateSink, Window } from './window-options.ts'

const LATE_BY_HEADER = 'millrace-late-by'

/** A window that an event has missed. */
export interface MissedWindow extends Window {
  /** How far event time was beyond the window's close. */
  readonly lateByMs: number
}

/** Counts an event that came too late for all of its windows, once it has finished. */
export class LateEvent implements Effect {
  readonly #count: () => void

  constructor(count: () => void) {
    this.#count = count
  }

  apply(): void {
    this.#count()
  }

  drop(): void {}
}

/** Sends the record of a late event on as it is, with the window that it has missed. */
export function sendLate(sink: LateSink, event: CurrentEvent, { start, end, lateByMs }: MissedWindow): void {
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
