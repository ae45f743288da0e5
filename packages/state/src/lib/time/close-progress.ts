import { MillraceError } from '@millrace/core'
import type { Row } from '@millrace/core/driver'

/** Which rows are closed: all up to `position`, and `beyond` it some more. Row keys as latin1. */
export interface ClosedRows {
  readonly position: string
  readonly beyond: readonly string[]
  /** Every window that starts before it is closed: there may be none between the position and here. */
  readonly to: number
}

/** As it is in the row. */
interface Numbered extends ClosedRows {
  /** Of the commit that has written it. */
  readonly commit: number
}

const NOTHING: Numbered = { commit: 0, position: '', beyond: [], to: 0 }

/** Sorts behind all row keys: their first byte is 0. */
export const PROGRESS_KEY: Buffer = Buffer.from([0xff])

/**
 * How far the windows of one partition are closed, as a row of its changelog. At least once, that row may be on the broker
 * while what the closing has sent is not: a crash comes between them. So the row has both what the last commit has closed
 * and what this one does, each with a number, and the number of the commit goes with its offsets, which are committed last.
 * The next owner believes what that number says: a window may close again, and never vanishes.
 */
export class CloseProgress {
  #committed: Numbered
  #prepared: Numbered
  /** The highest number that was used. */
  #highest: number

  /** `row`: its value; `note`: what was committed with the offsets. */
  constructor(row: Buffer | undefined, note: string) {
    const [committed = NOTHING, prepared = committed] = row === undefined ? [] : parse(row)
    this.#committed = this.#prepared = String(prepared.commit) === note ? prepared : committed
    this.#highest = Math.max(committed.commit, prepared.commit)
  }

  /** As of the last commit. */
  get committed(): ClosedRows {
    return this.#committed
  }

  /** What goes with the offsets of a commit that is prepared now; `isChanged` when it closes more. */
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

  /** The commit came to nothing, as far as is known here. Gives whether it had closed more. */
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
