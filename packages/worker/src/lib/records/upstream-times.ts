import type { Clock, RawHeaders, RawRecord } from '@millrace/core'

/** Header of a record without key and value by which a task says how far its event time has come: `{task}:{time}:{i or nothing}`. */
const WATERMARK_HEADER = 'millrace-watermark'
const RADIX = 36

/** How far the event time of one upstream task has come. */
export interface UpstreamTime {
  /** `-Infinity` before its first event. */
  readonly time: number
  /** All its partitions are idle: it holds back no watermark. */
  readonly isIdle: boolean
}

/** The headers of the record that says it. */
export function watermarkHeaders(task: string, { time, isIdle }: UpstreamTime): RawHeaders {
  const shown = time === -Infinity ? '' : time.toString(RADIX)
  return [[WATERMARK_HEADER, Buffer.from(`${task}:${shown}:${isIdle ? 'i' : ''}`)]]
}

/** The upstream task that is furthest behind. */
export interface SlowestTask {
  readonly task: string
  /** When its time last rose here, by the monotonic clock. */
  readonly movedAtMs: number
}

interface KnownTask extends UpstreamTime {
  readonly movedAtMs: number
}

/** What the tasks that write into one partition of a repartition topic have said of their event times. */
export class UpstreamTimes {
  readonly #known = new Map<string, KnownTask>()
  readonly #base: number
  readonly #clock: Pick<Clock, 'monotonic'>

  /** `tasks`: all that write; none where the times of the records count. `base`: event time as of the position. */
  constructor(tasks: readonly string[], base: number, clock: Pick<Clock, 'monotonic'>) {
    this.#base = base
    this.#clock = clock
    const movedAtMs = clock.monotonic()
    // At the position, the time of each was `base` or later.
    for (const task of tasks) this.#known.set(task, { time: base, isIdle: false, movedAtMs })
  }

  /** Whether the watermarks in the partition count, and the times of its records do not. */
  get isUsed(): boolean {
    return this.#known.size > 0
  }

  /** Event time in the partition after this record, if it is a watermark; `undefined` for all other records. */
  read({ key, value, headers }: RawRecord): number | undefined {
    if (key !== null || value !== null || headers.length !== 1) return undefined
    const [header] = headers
    if (header === undefined || header[0] !== WATERMARK_HEADER) return undefined
    const [task = '', shown = '', idle] = header[1]?.toString().split(':') ?? []
    const before = this.#known.get(task)
    // A task of an earlier number of partitions.
    if (before === undefined) return -Infinity
    const time = shown === '' ? -Infinity : Number.parseInt(shown, RADIX)
    const moved = time > before.time ? { time, movedAtMs: this.#clock.monotonic() } : before
    this.#known.set(task, { time: moved.time, movedAtMs: moved.movedAtMs, isIdle: idle === 'i' })
    return this.#time()
  }

  /** The task that holds back event time in the partition; `undefined` when all are idle, or none count. */
  get slowest(): SlowestTask | undefined {
    let slowest: (SlowestTask & { readonly time: number }) | undefined
    for (const [task, { time, isIdle, movedAtMs }] of this.#known)
      if (!isIdle && (slowest === undefined || time < slowest.time)) slowest = { task, time, movedAtMs }
    return slowest
  }

  /** The lowest of those that are not idle; when all are, the highest that any has come to. */
  #time(): number {
    let lowest = Infinity
    let highest = this.#base
    for (const { time, isIdle } of this.#known.values()) {
      if (!isIdle && time < lowest) lowest = time
      if (time > highest) highest = time
    }
    return lowest === Infinity ? highest : lowest
  }
}
