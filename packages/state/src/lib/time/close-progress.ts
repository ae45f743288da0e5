import { MillraceError } from '@millrace/core'
import type { Row } from '@millrace/core/driver'
import { CommitNumbers } from './commit-numbers.ts'

/** The closed rows: all rows up to `position`, and the rows in `beyond`. Row keys are latin1 text. */
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
 * Records in a row of the changelog which windows of one partition are closed: as of the last commit, and as of the current
 * one, each with the number of its commit (`CommitNumbers`). The next owner takes the state whose number was committed. At
 * least once, a window may then close again after a crash, but is never lost.
 */
export class CloseProgress {
  readonly #numbers: CommitNumbers
  #committed: Numbered
  #prepared: Numbered

  /** `row`: the value of the row; `note`: the text that was committed with the offsets. */
  constructor(row: Buffer | undefined, note: string) {
    this.#numbers = new CommitNumbers(note)
    const [committed = NOTHING, prepared = committed] = row === undefined ? [] : parse(row)
    for (const { commit } of [committed, prepared]) this.#numbers.found(commit)
    this.#committed = this.#prepared = prepared.commit === this.#numbers.committed ? prepared : committed
  }

  /** As of the last commit. */
  get committed(): ClosedRows {
    return this.#committed
  }

  /** The text to commit with the offsets of the commit under preparation; `isChanged`: it closes more windows. */
  note(isChanged: boolean): string {
    return this.#numbers.note(isChanged)
  }

  /** The row for a commit that closes further windows. */
  prepare(closed: ClosedRows): Row {
    this.#prepared = { ...closed, commit: this.#numbers.prepare() }
    return { key: PROGRESS_KEY, value: Buffer.from(JSON.stringify([this.#committed, this.#prepared])) }
  }

  /** Called when the commit has succeeded. */
  stored(): void {
    this.#numbers.stored()
    this.#committed = this.#prepared
  }

  /** Called when the commit has failed, as far as this worker knows. Returns whether it would have closed further windows. */
  returned(): boolean {
    this.#prepared = this.#committed
    return this.#numbers.returned()
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
