import { MillraceError, partitionKey } from '@millrace/core'
import type { Checkpoint, RangeOptions, StoreChange, StoreDriver, StorePartition } from '@millrace/core/driver'
import { storeSuite } from './store-suite.ts'

/**
 * The contract in its simplest form, which proves that the suite can be passed: sorted arrays, kept by the location.
 */
interface Kept {
  rows: readonly (readonly [key: Buffer, value: Buffer])[]
  checkpoint: Checkpoint | undefined
}

class PlainPartition implements StorePartition {
  readonly table: string
  readonly partition: number
  readonly #kept: Kept
  readonly #onClose: () => void
  #closed = false

  constructor(of: { readonly table: string; readonly partition: number }, kept: Kept, onClose: () => void) {
    this.table = of.table
    this.partition = of.partition
    this.#kept = kept
    this.#onClose = onClose
  }

  get rows(): number {
    return this.open.rows.length
  }

  get open(): Kept {
    if (this.#closed) throw new MillraceError('CLOSED', `Partition ${this.partition} of "${this.table}" is closed.`)
    return this.#kept
  }

  checkpoint(): Checkpoint | undefined {
    return this.open.checkpoint
  }

  get(key: Buffer): Buffer | undefined {
    return this.open.rows.find(([other]) => other.equals(key))?.[1]
  }

  range({ from, to, limit = Infinity, reverse = false }: RangeOptions = {}): readonly (readonly [
    key: Buffer,
    value: Buffer,
  ])[] {
    const inside = this.open.rows.filter(
      ([key]) => (from === undefined || key.compare(from) >= 0) && (to === undefined || key.compare(to) < 0),
    )
    return (reverse ? inside.toReversed() : inside).slice(0, limit)
  }

  async clear(): Promise<void> {
    this.open.rows = []
    this.open.checkpoint = undefined
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#onClose()
  }
}

function plainStore(kept: Map<string, Kept>, durable: boolean): StoreDriver {
  const open = new Map<string, PlainPartition>()
  let closed = false
  const check = (): void => {
    if (closed) throw new MillraceError('CLOSED', 'The store is closed.')
  }
  return {
    capabilities: { name: 'plain', durable },
    open: async (table, partition) => {
      check()
      const key = partitionKey({ topic: table, partition })
      if (open.has(key)) throw new MillraceError('STORE_IN_USE', `Partition ${partition} of "${table}" is open.`)
      const state = (durable ? kept.get(key) : undefined) ?? { rows: [], checkpoint: undefined }
      kept.set(key, state)
      const opened = new PlainPartition({ table, partition }, state, () => void open.delete(key))
      open.set(key, opened)
      return opened
    },
    checkpoint: (table, partition) => {
      check()
      const key = partitionKey({ topic: table, partition })
      return durable || open.has(key) ? kept.get(key)?.checkpoint : undefined
    },
    commit: async (changes: readonly StoreChange[]) => {
      check()
      const targets = changes.map(({ partition }) => (partition instanceof PlainPartition ? partition.open : undefined))
      changes.forEach(({ rows, checkpoint }, index) => {
        const target = targets[index]
        if (target === undefined) return
        const merged = new Map(target.rows.map((row) => [row[0].toString('hex'), row]))
        for (const { key, value } of rows) {
          if (value === null) merged.delete(key.toString('hex'))
          else merged.set(key.toString('hex'), [key, value])
        }
        target.rows = [...merged.values()].sort(([a], [b]) => a.compare(b))
        target.checkpoint = checkpoint ?? target.checkpoint
      })
    },
    close: async () => {
      closed = true
      for (const partition of open.values()) await partition.close()
    },
  }
}

for (const durable of [true, false]) {
  storeSuite({
    name: durable ? 'plain, durable' : 'plain, volatile',
    create: () => {
      const kept = new Map<string, Kept>()
      return { open: () => plainStore(kept, durable), remove: () => kept.clear() }
    },
  })
}
