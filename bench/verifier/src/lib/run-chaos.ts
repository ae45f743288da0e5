import { systemClock } from '@millrace/core'
import type { Step } from './chaos-plan.ts'
import type { WorkerSlot } from './worker-slot.ts'

/** Does what the plan says, each step when it is due. A worker that has ended by itself is started again. */
export async function runChaos(
  steps: readonly Step[],
  slots: readonly WorkerSlot[],
  tell: (line: string) => void,
): Promise<void> {
  const clock = systemClock()
  const beganMs = clock.monotonic()
  /** Of each worker: what is being done to it. */
  const busy = new Map<number, Promise<void>>()
  for (const { atMs, deed, slot } of steps) {
    const waitMs = atMs - (clock.monotonic() - beganMs)
    if (waitMs > 0) await clock.sleep(waitMs)
    const worker = slots[slot]
    if (worker === undefined) continue
    for (const other of slots) if (!other.isUp && !busy.has(other.slot) && other !== worker) other.start()
    tell(`${((clock.monotonic() - beganMs) / 1000).toFixed(1)} s  ${deed} ${slot}`)
    const before = busy.get(slot) ?? Promise.resolve()
    // A stop may take longer than until the next start: that one waits for it.
    const doing = before.then(() => worker[deed]())
    busy.set(slot, doing)
    const over = (): void => {
      if (busy.get(slot) === doing) busy.delete(slot)
    }
    if (deed === 'start' || deed === 'thaw') void doing.then(over)
  }
  await Promise.all(busy.values())
}
