/** What of the process is needed to end it, or to tell it. */
export interface OutputProcess {
  /** Tells whoever has to finish something first; false when nobody has. */
  emit(event: 'outputGone'): boolean
  listenerCount(event: 'outputGone'): number
  exit(code: number): void
  readonly stderr: { write(text: string): unknown }
}

/**
 * What happens when output or error output cannot be written, once for both. `millrace topics | head -1`: who reads has
 * gone, which is no failure of ours; a worker finishes what is in hand. Anything else, as a full disk, is told: a worker
 * goes on without its log lines, a command has failed.
 */
export function outputTrouble(process: OutputProcess): (error: NodeJS.ErrnoException) => void {
  let isKnown = false
  return (error) => {
    if (isKnown) return
    isKnown = true
    if (error.code === 'EPIPE') {
      if (!process.emit('outputGone')) process.exit(0)
      return
    }
    process.stderr.write(`The output cannot be written: ${error.message}.\n`)
    if (process.listenerCount('outputGone') === 0) process.exit(1)
  }
}
