/**
 * Numbers the commits of a state whose rows are valid only if their commit succeeds. At least once, the rows of a commit reach
 * the broker before its offsets; a crash in between leaves the rows there, but not the sends of their events. The state
 * therefore writes a number with these rows, and commits the same number with the offsets, last of all (`OpenState.note`).
 * The next owner compares the two.
 */
export class CommitNumbers {
  #committed: number
  #prepared: number
  /** The highest number used so far. */
  #highest: number

  /** `note`: the text that was committed with the offsets; empty before the first commit. */
  constructor(note: string) {
    const committed = Number(note)
    this.#committed = this.#prepared = this.#highest = Number.isSafeInteger(committed) ? committed : 0
  }

  /** The number of the last commit that changed such rows. */
  get committed(): number {
    return this.#committed
  }

  /** Called when rows with this number are found. */
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

  /** Called when the commit has succeeded. */
  stored(): void {
    this.#committed = this.#prepared
  }

  /** Called when the commit has failed, as far as this worker knows. Returns whether it would have changed such rows. */
  returned(): boolean {
    const hadRows = this.#prepared !== this.#committed
    this.#prepared = this.#committed
    return hadRows
  }
}
