import type { Clock } from '@millrace/core'

export type StopSignal = 'SIGINT' | 'SIGTERM'

/** Exit codes that shells give to a process that a signal ended. */
export const SIGNAL_EXIT_CODES: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 }

/** One Ctrl-C under npm arrives twice, from the terminal and from npm; a person is not that fast. */
const SAME_PRESS_MS = 100

export interface SignalsDeps {
  readonly clock: Clock
  /** The process, or something like it. */
  readonly source: {
    on(signal: StopSignal, listener: () => void): unknown
    off(signal: StopSignal, listener: () => void): unknown
  }
  /** A second signal came: end at once with this exit code. */
  quit(exitCode: number): void
}

export interface Signals {
  /** Aborts at the first signal. */
  readonly signal: AbortSignal
  /** The first signal, `undefined` before. */
  received(): StopSignal | undefined
  /** Takes the listeners away. */
  close(): void
}

/** Listens for SIGINT and SIGTERM: the first asks to stop, the second quits. */
export function watchSignals({ clock, source, quit }: SignalsDeps): Signals {
  const controller = new AbortController()
  let first: { readonly name: StopSignal; readonly atMs: number } | undefined
  const listener = (name: StopSignal) => (): void => {
    if (first === undefined) {
      first = { name, atMs: clock.monotonic() }
      controller.abort(new Error(`Stopped by ${name}.`))
      return
    }
    const isSamePress = name === 'SIGINT' && first.name === 'SIGINT' && clock.monotonic() - first.atMs < SAME_PRESS_MS
    if (!isSamePress) quit(SIGNAL_EXIT_CODES[name])
  }
  const onInterrupt = listener('SIGINT')
  const onTerminate = listener('SIGTERM')
  source.on('SIGINT', onInterrupt)
  source.on('SIGTERM', onTerminate)
  return {
    signal: controller.signal,
    received: () => first?.name,
    close: () => {
      source.off('SIGINT', onInterrupt)
      source.off('SIGTERM', onTerminate)
    },
  }
}
