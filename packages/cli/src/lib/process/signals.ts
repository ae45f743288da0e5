import type { Clock } from '@millrace/core'

/**
 * `outputGone`: nobody reads the output any more. An event of ours and no signal: to listen for SIGPIPE itself would take
 * away that Node ignores it, and then whoever breaks off a connection to the worker, or the broker, would stop it.
 */
export type StopSignal = 'SIGINT' | 'SIGTERM' | 'outputGone'

/** Exit codes that shells give to a process that a signal ended; without a reader that is SIGPIPE. */
export const SIGNAL_EXIT_CODES: Readonly<Record<StopSignal, number>> = {
  SIGINT: 130,
  SIGTERM: 143,
  outputGone: 141,
}

/** One Ctrl-C under npm arrives twice, from the terminal and from npm; a person is not that fast. */
const SAME_PRESS_MS = 100

export interface SignalsOptions {
  readonly clock: Clock
  /** The process, or something like it. */
  readonly source: {
    on(signal: StopSignal, listener: () => void): unknown
    off(signal: StopSignal, listener: () => void): unknown
  }
  /** Which to listen for. Default: SIGINT and SIGTERM. */
  readonly listenFor?: readonly StopSignal[]
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

/** Listens for signals: the first asks to stop, the second quits. */
export function watchSignals({ clock, source, listenFor = ['SIGINT', 'SIGTERM'], quit }: SignalsOptions): Signals {
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
  const listeners = listenFor.map((name) => ({ name, listen: listener(name) }))
  for (const { name, listen } of listeners) source.on(name, listen)
  return {
    signal: controller.signal,
    received: () => first?.name,
    close: () => {
      for (const { name, listen } of listeners) source.off(name, listen)
    },
  }
}
