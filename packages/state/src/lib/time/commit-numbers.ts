/**
 * Numbers the commits of a state whose rows must not count without their commit. At least once, the rows of a commit are on
 * the broker before its offsets, and a crash in between leaves them there without what their events have sent. So the state
 * writes a number with these rows, and the same number is committed with the offsets, last of all (`OpenState.note`): the
 * next owner compares the two.
 */
export class CommitNumbers {
  #committed: number
  #prepared: number
  /** The highest number used so far. */
  #highest: number

  /** `note`: what was committed with the offsets; empty before the first. */
  constructor(note: string) {
    const committed = Number(note)
    this.#committed = this.#prepared = this.#highest = Number.isSafeInteger(committed) ? committed : 0
  }

  /** Of the last commit that changed such rows. */
  get committed(): number {
    return this.#committed
  }

  /** Rows with this number were found. */
  found(number: number): void {
    this.#highest = Math.max(this.#highest, number)
  }

  /** The text to commit with the offsets; `isChanged`: the commit under preparation changes such rows. */
  note(isChanged: boolean): string {
    return String(isChanged ? this.#highest + 1 : this.#committed)
  }

  /** The number of a commit that changes such rows. */
  prepare(): number {
    return (this.#prepared = ++this.#highest)
  }

  /** The commit is made. */
  stored(): void {
    this.#committed = this.#prepared
  }

  /** The commit failed, as far as this worker knows. Returns whether it would have changed such rows. */
  returned(): boolean {
    const hadRows = this.#prepared !== this.#committed
    this.#prepared = this.#committed
    return hadRows
  }
}
