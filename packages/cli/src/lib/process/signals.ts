import type { Clock } from '@millrace/core'

/**
 * `outputGone`: the reader of the output left. Millrace raises it itself, because a listener for SIGPIPE would stop
 * Node from ignoring that signal, and any peer that broke off a connection to the worker or the broker would stop the
 * worker.
 */
export type StopSignal = 'SIGINT' | 'SIGTERM' | 'outputGone'

/** Exit codes that shells give to a process ended by a signal; a lost reader counts as SIGPIPE. */
export const SIGNAL_EXIT_CODES: Readonly<Record<StopSignal, number>> = {
  SIGINT: 130,
  SIGTERM: 143,
  outputGone: 141,
}

/** Under npm one Ctrl-C arrives twice, from the terminal and from npm, faster than a person can type it. */
const SAME_PRESS_MS = 100

export interface SignalsOptions {
  readonly clock: Clock
  /** The process, or a stand-in. */
  readonly source: {
    on(signal: StopSignal, listener: () => void): unknown
    off(signal: StopSignal, listener: () => void): unknown
  }
  /** Events to listen for. Default: SIGINT and SIGTERM. */
  readonly listenFor?: readonly StopSignal[]
  /** Called at a second signal: exit at once with this code. */
  quit(exitCode: number): void
}

export interface Signals {
  /** Aborts at the first signal. */
  readonly signal: AbortSignal
  /** The first signal; `undefined` before it. */
  received(): StopSignal | undefined
  /** Removes the listeners. */
  close(): void
}

/** Listens for signals: the first asks for a stop, the second exits at once. */
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
