/** Some of the pages of a file: a bit for each. */
export class PageSet {
  readonly #bits: Uint8Array
  readonly #lastPage: number

  constructor(lastPage: number) {
    this.#lastPage = lastPage
    this.#bits = new Uint8Array((lastPage >>> 3) + 1)
  }

  /** False when the page is in the set already, or is none of the file. */
  add(page: number): boolean {
    if (!(page >= 0 && page <= this.#lastPage) || this.has(page)) return false
    const at = page >>> 3
    this.#bits[at] = (this.#bits[at] ?? 0) | (1 << (page & 7))
    return true
  }

  has(page: number): boolean {
    return ((this.#bits[page >>> 3] ?? 0) & (1 << (page & 7))) !== 0
  }
}
