import type { Clock } from '@millrace/core'

/** Waits until `work` has settled, at most `limitMs`. False when the time ran out; what `work` rejects with is thrown. */
export async function withinLimit(clock: Clock, limitMs: number, work: Promise<unknown>): Promise<boolean> {
  let cancel: () => void = () => {}
  const late = new Promise<false>((resolve) => {
    const scheduled = clock.schedule(limitMs, () => resolve(false))
    cancel = () => scheduled.cancel()
  })
  try {
    return await Promise.race([work.then(() => true as const), late])
  } finally {
    cancel()
  }
}
