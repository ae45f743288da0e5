import { grouped, type Logger, type OutgoingRecord } from '@millrace/core'

/** What was decided and seen in a run, one line each: the same for the same seed. */
export class Trace {
  readonly #lines: string[] = []
  readonly #nowMs: () => number
  #step = 0

  /** `nowMs`: since the beginning of the run. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  get lines(): readonly string[] {
    return this.#lines
  }

  get steps(): number {
    return this.#step
  }

  /** Milliseconds since the beginning of the run. */
  get nowMs(): number {
    return this.#nowMs()
  }

  nextStep(): void {
    this.#step++
  }

  /** What was seen; `who` is a worker or the simulation itself. */
  add(who: string, what: string): void {
    this.#lines.push(`${this.#step} ${Math.round(this.#nowMs() * 1000) / 1000}ms ${who}: ${what}`)
  }

  /** Records of this worker are in the log. */
  stored(who: string, records: readonly OutgoingRecord[]): void {
    for (const [key, of] of grouped(records, ({ topic, partition }) => `${topic}-${partition}`))
      this.add(who, `stored ${of.length} in ${key} (${fingerprint(of)})`)
  }
}

/** Records of one partition in a few characters: a record that differs anywhere reads otherwise. */
export function fingerprint(records: readonly OutgoingRecord[]): string {
  let hash = 0x811c9dc5
  const take = (bytes: Iterable<number>): void => {
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
    hash = Math.imul(hash ^ 0x1ff, 0x01000193) >>> 0
  }
  for (const { key, value } of records) {
    take(key ?? [])
    take(value ?? [])
  }
  return hash.toString(16).padStart(8, '0')
}

/** Hears what a worker warns of. */
export function warningsTo(hear: (what: string) => void): Logger {
  const note =
    (level: string) =>
    (_fields: object, message: string): void =>
      hear(`${level}: ${message}`)
  return { debug: () => {}, info: () => {}, warn: note('warn'), error: note('error') }
}
