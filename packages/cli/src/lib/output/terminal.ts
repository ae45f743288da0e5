/** A stream that takes text: `process.stdout`, `process.stderr`, or an array of a test. */
export interface OutputStream {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** The streams of a command and the environment of its reader. */
export interface Terminal {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  /** The input where a person answers; without it a command cannot ask. */
  readonly stdin?: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Width for help and tables: the terminal's, or 100 if it is unknown. */
export function widthOf(stream: OutputStream): number {
  return stream.columns !== undefined && stream.columns > 20 ? stream.columns : 100
}

/**
 * Whether to color `stream`: `--no-color` and `NO_COLOR` forbid it, `FORCE_COLOR` forces it, otherwise only terminals
 * have colors.
 */
export function wantsColor(stream: OutputStream, env: Terminal['env'], option: boolean): boolean {
  if (!option || (env['NO_COLOR'] ?? '') !== '') return false
  const forced = env['FORCE_COLOR']
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  return stream.isTTY === true && env['TERM'] !== 'dumb'
}
