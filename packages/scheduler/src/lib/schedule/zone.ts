import { MillraceError } from '@millrace/core'

const HOUR_MS = 3_600_000

/** No zone changes its offset and back within this time. */
const STEP_MS = 6 * HOUR_MS

/** Cached periods of constant offset: the current one and its neighbours. */
const MAX_STRETCHES = 8

/** A time zone: the local time of its clocks. */
export interface Zone {
  readonly name: string
  /** Local time minus UTC at this instant. */
  offsetAt(ms: number): number
  /** The instant of the next change of the offset after `ms`, or `limitMs` if it does not change before that. */
  changeAfter(ms: number, limitMs: number): number
}

/** A period with one offset, from `fromMs` to before `toMs`. */
interface Stretch {
  readonly fromMs: number
  readonly toMs: number
  readonly offsetMs: number
}

/**
 * A time zone by its IANA name, with the runtime's rules.
 *
 * @param owner for messages: `cron job "daily"`
 * @throws `TIME_ZONE_UNKNOWN`
 */
export function openZone(name: string, owner: string): Zone {
  const format = formatOf(name, owner)
  if (format.resolvedOptions().timeZone === 'UTC')
    return { name, offsetAt: () => 0, changeAfter: (_ms, limitMs) => limitMs }
  return new RuledZone(name, format)
}

class RuledZone implements Zone {
  readonly name: string
  readonly #format: Intl.DateTimeFormat
  /** Most recently used first. */
  readonly #stretches: Stretch[] = []

  constructor(name: string, format: Intl.DateTimeFormat) {
    this.name = name
    this.#format = format
  }

  offsetAt(ms: number): number {
    return this.#stretchAt(ms).offsetMs
  }

  changeAfter(ms: number, limitMs: number): number {
    for (let stretch = this.#stretchAt(ms); ; stretch = this.#stretchAt(stretch.toMs)) {
      if (stretch.toMs >= limitMs) return limitMs
      if (this.#stretchAt(stretch.toMs).offsetMs !== stretch.offsetMs) return stretch.toMs
    }
  }

  #stretchAt(ms: number): Stretch {
    const at = this.#stretches.findIndex(({ fromMs, toMs }) => fromMs <= ms && ms < toMs)
    const known = this.#stretches[at]
    if (known === undefined) return this.#remember(this.#explore(ms))
    if (at > 0) {
      this.#stretches.splice(at, 1)
      this.#stretches.unshift(known)
    }
    return known
  }

  #remember(stretch: Stretch): Stretch {
    this.#stretches.unshift(stretch)
    if (this.#stretches.length > MAX_STRETCHES) this.#stretches.pop()
    return stretch
  }

  /** A step around the instant, or less if the offset changes within it. */
  #explore(ms: number): Stretch {
    const stepMs = Math.floor(ms / STEP_MS) * STEP_MS
    const endMs = stepMs + STEP_MS
    const [first, last] = [this.#read(stepMs), this.#read(endMs)]
    if (first === last) return { fromMs: stepMs, toMs: endMs, offsetMs: first }
    let [before, after] = [stepMs, endMs]
    // Offsets change on whole seconds.
    while (after - before > 1000) {
      const middle = before + Math.floor((after - before) / 2000) * 1000
      if (this.#read(middle) === first) before = middle
      else after = middle
    }
    return ms < after
      ? { fromMs: stepMs, toMs: after, offsetMs: first }
      : { fromMs: after, toMs: endMs, offsetMs: last }
  }

  #read(ms: number): number {
    const wall = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 }
    for (const { type, value } of this.#format.formatToParts(ms))
      if (type in wall) Object.assign(wall, { [type]: Number(value) })
    return (
      Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute, wall.second) - Math.floor(ms / 1000) * 1000
    )
  }
}

function formatOf(name: string, owner: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  } catch (cause) {
    throw new MillraceError('TIME_ZONE_UNKNOWN', `The time zone of ${owner} is ${JSON.stringify(name)}.`, { cause })
  }
}
