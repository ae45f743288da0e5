/** Remembers what the last bytes of a row were parsed to, because rows are read far more often than they change. */
export class ParsedRows<T> {
  readonly #parse: (bytes: Buffer, key: string) => T
  readonly #known = new Map<string, { readonly bytes: Buffer; readonly value: T }>()

  constructor(parse: (bytes: Buffer, key: string) => T) {
    this.#parse = parse
  }

  get(key: string, bytes: Buffer | undefined): T | undefined {
    if (bytes === undefined) {
      this.#known.delete(key)
      return undefined
    }
    const known = this.#known.get(key)
    if (known !== undefined && known.bytes.equals(bytes)) return known.value
    const value = this.#parse(bytes, key)
    this.#known.set(key, { bytes, value })
    return value
  }
}
