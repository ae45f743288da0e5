import type { EventScope } from '@millrace/core'
import type { KeyedRows } from '../keyed/keyed-rows.ts'

/**
 * Every row of some partitions, a chunk in each turn of the event loop: reading a large table must not keep the worker
 * from its heartbeats, which `for await` alone would do.
 */
export async function* readInTurns<V, T>(
  partitions: readonly KeyedRows<V>[],
  event: EventScope | undefined,
  pick: (key: Buffer, value: V) => T,
): AsyncGenerator<T, undefined, undefined> {
  for (const rows of partitions) {
    for (const chunk of rows.scan(event)) {
      for (const [key, value] of chunk) yield pick(key, value)
      await nextTurn()
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
