import type { Clock } from '@millrace/core'

const HOUR_MS = 3_600_000

/** Keeps the process alive until the returned function is called, which signal listeners alone do not. */
export function keepAlive(clock: Clock): () => void {
  let scheduled = clock.schedule(HOUR_MS, again)
  function again(): void {
    scheduled = clock.schedule(HOUR_MS, again)
  }
  return () => scheduled.cancel()
}
