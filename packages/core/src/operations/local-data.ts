/**
 * An app's data on this machine, the embedded log and the stores of tables, for commands that move it and back it up.
 * Implemented in `worker`, called by `cli`.
 */
export interface LocalData {
  /** Exports the embedded log as text, one piece at a time; workers may run. `LOG_MISSING` if the app has none. */
  exportLog(write: (piece: Buffer) => Promise<void>, signal: AbortSignal): Promise<LogTransfer>
  /**
   * Creates the embedded log from such a text, all of it or nothing. `LOG_EXISTS` if there is one, `LOG_TEXT_BROKEN`.
   */
  importLog(text: AsyncIterable<Buffer>, signal: AbortSignal): Promise<LogTransfer>
  /** See `App.backup`. */
  backup(directory: string, options: { readonly logOnly: boolean }): Promise<Backup>
  /** Restores a backup as the app's data. `BACKUP_REFUSED` if there is data already, or if the backup was changed. */
  restore(directory: string): Promise<Backup>
}

/** What was exported or imported. */
export interface LogTransfer {
  /** The log. */
  readonly directory: string
  readonly records: number
  /** The checksum of the text without its last line, which holds it. */
  readonly sha256: string
}

/** What a backup consists of. */
export interface Backup {
  /** The version of Millrace that made the backup. */
  readonly version: string
  readonly appId: string
  /** Milliseconds since the epoch. */
  readonly madeAt: number
  /** With forward slashes, relative to the backup's directory. */
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[]
}
