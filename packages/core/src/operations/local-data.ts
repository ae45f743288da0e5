/**
 * What an app keeps on this machine, the embedded log and the stores of tables, as commands move and keep it. Implemented
 * in `worker`, called by `cli`.
 */
export interface LocalData {
  /**
   * Gives the embedded log as text, each piece written before the next is made; workers may run. `LOG_MISSING` when the app
   * has none.
   */
  exportLog(write: (piece: Buffer) => Promise<void>, signal: AbortSignal): Promise<LogTransfer>
  /** Makes the embedded log of such a text, all of it or nothing. `LOG_EXISTS` when there is one, `LOG_TEXT_BROKEN`. */
  importLog(text: AsyncIterable<Buffer>, signal: AbortSignal): Promise<LogTransfer>
  /** As `App.backup`. */
  backup(directory: string, options: { readonly logOnly: boolean }): Promise<Backup>
  /** Puts a backup where the app keeps its data. `BACKUP_REFUSED` when there is some, or when the backup has changed. */
  restore(directory: string): Promise<Backup>
}

/** What was exported or imported. */
export interface LogTransfer {
  /** The log. */
  readonly directory: string
  readonly records: number
  /** Of the text, without its last line, which has it too. */
  readonly sha256: string
}

/** What a backup consists of. */
export interface Backup {
  /** The version of Millrace that made the backup. */
  readonly version: string
  readonly appId: string
  /** Milliseconds since the epoch. */
  readonly madeAt: number
  /** With forward slashes, from the directory of the backup. */
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[]
}
