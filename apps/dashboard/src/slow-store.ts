import { systemClock } from '@millrace/core'
import type { StoreDriver } from '@millrace/core/driver'
import { memoryStore } from '@millrace/tables'

/** A store in memory that takes its time to commit, so that there is something to see of a recovery. */
export function slowStore(ms: number): StoreDriver {
  const inner = memoryStore()
  const clock = systemClock()
  return {
    capabilities: { ...inner.capabilities, name: 'slow' },
    open: (table, partition) => inner.open(table, partition),
    checkpoint: (table, partition) => inner.checkpoint(table, partition),
    commit: async (changes) => {
      await clock.sleep(ms)
      await inner.commit(changes)
    },
    close: () => inner.close(),
  }
}
