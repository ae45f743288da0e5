import { MillraceError } from '@millrace/core'
import type { Row } from '@millrace/core/driver'

/** The closed rows: all up to `position`, and those in `beyond`. Row keys are latin1 text. */
export interface ClosedRows {
  readonly position: string
  readonly beyond: readonly string[]
  /** Every window that starts before this time is closed. There may be no rows between the position and this time. */
  readonly to: number
}

/** The content of the row. */
interface Numbered extends ClosedRows {
  /** The number of the commit that wrote the row. */
  readonly commit: number
}

const NOTHING: Numbered = { commit: 0, position: '', beyond: [], to: 0 }

/** Sorts after all row keys, whose first byte is 0. */
export const PROGRESS_KEY: Buffer = Buffer.from([0xff])

/**
 * Records in a row of the changelog which windows of one partition are closed. At least once, a crash may leave that row on
 * the broker but lose the records that the closing sent. The row therefore holds two states, each with a number: that of the
 * last commit and that of the current one. The commit's number is committed with the offsets, last of all, and the next
 * owner takes the state with that number. A window may then close again, but is never lost.
 */
export class CloseProgress {
  #committed: Numbered
  #prepared: Numbered
  /** The highest number used so far. */
  #highest: number

  /** `row`: the value of the row; `note`: the text that was committed with the offsets. */
  constructor(row: Buffer | undefined, note: string) {
    const [committed = NOTHING, prepared = committed] = row === undefined ? [] : parse(row)
    this.#committed = this.#prepared = String(prepared.commit) === note ? prepared : committed
    this.#highest = Math.max(committed.commit, prepared.commit)
  }

  /** As of the last commit. */
  get committed(): ClosedRows {
    return this.#committed
  }

  /** The text to commit with the offsets of the commit under preparation; `isChanged`: it closes more windows. */
  note(isChanged: boolean): string {
    return String(isChanged ? this.#highest + 1 : this.#committed.commit)
  }

  /** The row for a commit that closes more. */
  prepare(closed: ClosedRows): Row {
    this.#prepared = { ...closed, commit: ++this.#highest }
    return { key: PROGRESS_KEY, value: Buffer.from(JSON.stringify([this.#committed, this.#prepared])) }
  }

  /** The commit is made. */
  stored(): void {
    this.#committed = this.#prepared
  }

  /** The commit failed, as far as this worker knows. Returns whether it would have closed more windows. */
  returned(): boolean {
    const hadMore = this.#prepared !== this.#committed
    this.#prepared = this.#committed
    return hadMore
  }
}

function parse(row: Buffer): readonly Numbered[] {
  try {
    return JSON.parse(row.toString()) as readonly Numbered[]
  } catch (error) {
    throw new MillraceError('ROW_UNDECODABLE', 'The row that says which windows are closed cannot be read.', {
      cause: error,
    })
  }
}
