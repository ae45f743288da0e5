/** Numbers as text with a unit, `'10s'` for 10,000. */
export class UnitText {
  readonly #pattern: RegExp
  readonly #units: readonly (readonly [unit: string, size: number])[]
  /** The unit of a number without one. */
  readonly #base: string

  /** `pattern`: a number and perhaps a unit, in two groups; `units`: the largest first. */
  constructor(pattern: RegExp, units: readonly (readonly [unit: string, size: number])[], base: string) {
    this.#pattern = pattern
    this.#units = units
    this.#base = base
  }

  /** Text as a number; `undefined` if it cannot be read. Anything else stays as it is. */
  read(value: unknown): unknown {
    if (typeof value !== 'string') return value
    const match = this.#pattern.exec(value.trim())
    if (match === null) return undefined
    const unit = match[2]?.toLowerCase() ?? this.#base
    const size = this.#units.find(([name]) => name === unit)?.[1]
    return size === undefined ? undefined : Number(match[1]) * size
  }

  /** Text in the largest unit that gives a whole number. */
  format(value: number): string {
    for (const [unit, size] of this.#units) if (value >= size && value % size === 0) return `${value / size}${unit}`
    return `${value}${this.#base}`
  }
}
