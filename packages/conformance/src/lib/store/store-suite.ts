import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import type { StoreDriver, StorePartition } from '@millrace/core/driver'
import { checkStoreModel } from './store-model.ts'
import { storeOperations } from './store-operations.ts'
import type { StorePlace } from './store-place.ts'

export interface StoreSuiteOptions {
  /** Name of the driver, for test names. */
  readonly name: string
  /** Makes a new, empty location. */
  readonly create: () => StorePlace | Promise<StorePlace>
  /** Random runs against the model. Default: 60. */
  readonly runs?: number
}

const CHECKPOINT = { topicId: 'topic-id', offset: 12, wallTimeMs: 1_700_000_000_000 }
const CLOSED = expect.objectContaining({ code: 'CLOSED' })

/**
 * Registers the tests for the contract of `StoreDriver`. Call it at the top of a driver's test file.
 *
 * @example
 * storeSuite({ name: 'memory', create: () => ({ open: memoryStore, remove: () => {} }) })
 */
export function storeSuite(options: StoreSuiteOptions): void {
  const places: StorePlace[] = []
  const drivers: StoreDriver[] = []
  const place = async (): Promise<StorePlace> => {
    const created = await options.create()
    places.push(created)
    return created
  }
  const open = async (at: StorePlace): Promise<StoreDriver> => {
    const driver = await at.open()
    drivers.push(driver)
    return driver
  }
  const fresh = async (): Promise<StoreDriver> => open(await place())

  describe(`store contract: ${options.name}`, () => {
    afterEach(async () => {
      for (const driver of drivers.splice(0)) await driver.close()
      for (const left of places.splice(0)) await left.remove()
    })

    it(
      'after any sequence of commits, clears, closes and reopenings the store equals a map at its last commit',
      { timeout: 120_000 },
      async () => {
        await fc.assert(
          fc.asyncProperty(storeOperations(), async (operations) => {
            const at = await options.create()
            try {
              await checkStoreModel(at, operations)
            } finally {
              await at.remove()
            }
          }),
          { numRuns: options.runs ?? 60 },
        )
      },
    )

    it('a new partition is empty', async () => {
      const partition = await (await fresh()).open('table', 3)
      expect([partition.table, partition.partition, partition.rows]).toEqual(['table', 3, 0])
      expect(partition.checkpoint()).toBeUndefined()
      expect(partition.get(Buffer.from('k'))).toBeUndefined()
      expect(partition.range()).toEqual([])
    })

    it('tables and partitions are separate', async () => {
      const driver = await fresh()
      const partitions = [
        await driver.open('a', 0),
        await driver.open('a', 1),
        await driver.open('b', 0),
        await driver.open('a-0', 0),
      ]
      for (const [index, partition] of partitions.entries()) {
        await driver.commit([
          { partition, rows: [row('k', String(index))], checkpoint: { ...CHECKPOINT, offset: index } },
        ])
      }
      expect(partitions.map((partition) => partition.get(Buffer.from('k'))?.toString())).toEqual(['0', '1', '2', '3'])
      expect(partitions.map((partition) => partition.checkpoint()?.offset)).toEqual([0, 1, 2, 3])
    })

    it('returns the checkpoint of a partition that is not open, and none for one that never existed', async () => {
      const driver = await fresh()
      const partition = await driver.open('table', 0)
      await driver.commit([{ partition, rows: [row('k', 'v')], checkpoint: CHECKPOINT }])
      expect(driver.checkpoint('table', 0)).toEqual(CHECKPOINT)
      expect([driver.checkpoint('table', 1), driver.checkpoint('other', 0)]).toEqual([undefined, undefined])
      await partition.close()
      expect(driver.checkpoint('table', 0)).toEqual(driver.capabilities.durable ? CHECKPOINT : undefined)
    })

    it('one commit covers rows and checkpoints of many partitions', async () => {
      const driver = await fresh()
      const partitions = await openMany(driver, 5)
      await driver.commit(
        partitions.map((partition, index) => ({ partition, rows: [row('k', `${index}`)], checkpoint: CHECKPOINT })),
      )
      expect(partitions.map((partition) => partition.get(Buffer.from('k'))?.toString())).toEqual([
        '0',
        '1',
        '2',
        '3',
        '4',
      ])
      expect(partitions.map((partition) => partition.checkpoint())).toEqual(partitions.map(() => CHECKPOINT))
    })

    it('a commit with a closed partition changes nothing', async () => {
      const driver = await fresh()
      const [first, second] = await openMany(driver, 2)
      if (first === undefined || second === undefined) throw new Error('Two partitions were opened.')
      await second.close()
      const changes = [first, second].map((partition) => ({ partition, rows: [row('k', 'v')], checkpoint: CHECKPOINT }))
      await expect(driver.commit(changes)).rejects.toThrow(CLOSED)
      expect(first.rows).toBe(0)
      expect(first.checkpoint()).toBeUndefined()
    })

    it('rows without a checkpoint leave the old one, and a checkpoint without rows is stored', async () => {
      const driver = await fresh()
      const partition = await driver.open('table', 0)
      await driver.commit([{ partition, rows: [], checkpoint: CHECKPOINT }])
      await driver.commit([{ partition, rows: [row('k', 'v')], checkpoint: undefined }])
      expect(partition.checkpoint()).toEqual(CHECKPOINT)
      await driver.commit([])
      expect(partition.rows).toBe(1)
    })

    it('the last of several rows for a key wins', async () => {
      const driver = await fresh()
      const partition = await driver.open('table', 0)
      const rows = [row('a', '1'), row('a', null), row('a', '2'), row('b', '1'), row('b', null), row('c', null)]
      await driver.commit([{ partition, rows, checkpoint: undefined }])
      expect(partition.range().map(([key, value]) => [key.toString(), value.toString()])).toEqual([['a', '2']])
      expect(partition.rows).toBe(1)
    })

    it('empty, binary and long keys and values keep their bytes and their order', async () => {
      const driver = await fresh()
      const partition = await driver.open('table', 0)
      const keys = [[], [0], [0, 0], [0, 255], [1], [127], [128], [255], [255, 0], [255, 255]].map((bytes) =>
        Buffer.from(bytes),
      )
      const long = Buffer.alloc(1500, 255)
      await driver.commit([
        { partition, rows: [...keys, long].reverse().map((key) => ({ key, value: key })), checkpoint: undefined },
      ])
      const order = [...keys, long].map((key) => key.toString('hex'))
      expect(partition.range().map(([key]) => key.toString('hex'))).toEqual(order)
      expect(partition.range({ reverse: true }).map(([key]) => key.toString('hex'))).toEqual(order.toReversed())
      for (const key of [...keys, long]) expect(partition.get(key)?.toString('hex')).toBe(key.toString('hex'))
    })

    it('a large value is kept', async () => {
      const driver = await fresh()
      const partition = await driver.open('table', 0)
      const value = Buffer.alloc(3_000_000, 'ab')
      await driver.commit([{ partition, rows: [{ key: Buffer.from('k'), value }], checkpoint: undefined }])
      expect(partition.get(Buffer.from('k'))?.equals(value)).toBe(true)
    })

    it('ranges include their start, exclude their end and stop at their limit', async () => {
      const driver = await fresh()
      const partition = await driver.open('table', 0)
      await driver.commit([
        { partition, rows: ['a', 'b', 'ba', 'c', 'd'].map((key) => row(key, key)), checkpoint: undefined },
      ])
      const keys = (range: Parameters<StorePartition['range']>[0]): readonly string[] =>
        partition.range(range).map(([key]) => key.toString())
      const [b, d] = [Buffer.from('b'), Buffer.from('d')]
      expect(keys({ from: b })).toEqual(['b', 'ba', 'c', 'd'])
      expect(keys({ to: d })).toEqual(['a', 'b', 'ba', 'c'])
      expect(keys({ from: b, to: d })).toEqual(['b', 'ba', 'c'])
      expect(keys({ from: b, to: d, limit: 2 })).toEqual(['b', 'ba'])
      expect(keys({ from: d, to: b })).toEqual([])
      expect(keys({ from: b, to: b })).toEqual([])
      expect(keys({ limit: 0 })).toEqual([])
      expect(keys({ from: b, reverse: true })).toEqual(['d', 'c', 'ba', 'b'])
      expect(keys({ to: d, reverse: true, limit: 2 })).toEqual(['c', 'ba'])
      expect(keys({ from: b, to: d, reverse: true })).toEqual(['c', 'ba', 'b'])
      expect(keys({ from: d, to: b, reverse: true })).toEqual([])
      expect(keys({ limit: 0, reverse: true })).toEqual([])
    })

    it('a value that was read does not change with its row', async () => {
      const driver = await fresh()
      const partition = await driver.open('table', 0)
      await driver.commit([{ partition, rows: [row('k', 'before')], checkpoint: undefined }])
      const value = partition.get(Buffer.from('k'))
      const range = partition.range()
      await driver.commit([{ partition, rows: [row('k', 'after!'), row('l', 'new')], checkpoint: undefined }])
      expect(value?.toString()).toBe('before')
      expect(range.map(([, bytes]) => bytes.toString())).toEqual(['before'])
    })

    it('opening an open partition is STORE_IN_USE, even while it is being opened', async () => {
      const driver = await fresh()
      const partition = await driver.open('table', 0)
      await expect(driver.open('table', 0)).rejects.toMatchObject({ code: 'STORE_IN_USE' })
      await partition.close()
      const again = driver.open('table', 0)
      await expect(driver.open('table', 0)).rejects.toMatchObject({ code: 'STORE_IN_USE' })
      await again
    })

    it('clear drops rows and checkpoint of one partition, for good', async () => {
      const driver = await fresh()
      const [first, second] = await openMany(driver, 2)
      if (first === undefined || second === undefined) throw new Error('Two partitions were opened.')
      await driver.commit(
        [first, second].map((partition) => ({ partition, rows: [row('k', 'v')], checkpoint: CHECKPOINT })),
      )
      await first.clear()
      expect([first.rows, first.checkpoint(), first.get(Buffer.from('k'))]).toEqual([0, undefined, undefined])
      expect([second.rows, second.checkpoint()]).toEqual([1, CHECKPOINT])
      await first.close()
      expect((await driver.open(first.table, first.partition)).rows).toBe(0)
    })

    it('calls after close are CLOSED, and closing twice is fine', async () => {
      const driver = await fresh()
      const [closed, open] = await openMany(driver, 2)
      if (closed === undefined || open === undefined) throw new Error('Two partitions were opened.')
      await closed.close()
      await closed.close()
      const expectClosed = async (partition: StorePartition): Promise<void> => {
        expect(() => partition.get(Buffer.from('k'))).toThrow(CLOSED)
        expect(() => partition.range()).toThrow(CLOSED)
        expect(() => partition.checkpoint()).toThrow(CLOSED)
        await expect(partition.clear()).rejects.toThrow(CLOSED)
      }
      await expectClosed(closed)
      await driver.close()
      await driver.close()
      await expectClosed(open)
      await expect(driver.open('table', 7)).rejects.toThrow(CLOSED)
      expect(() => driver.checkpoint('table', 7)).toThrow(CLOSED)
      await expect(driver.commit([])).rejects.toThrow(CLOSED)
    })

    it('close waits for a commit under way', async () => {
      const at = await place()
      const driver = await open(at)
      const partition = await driver.open('table', 0)
      const rows = Array.from({ length: 5000 }, (_, index) => row(`key ${index}`, String(index)))
      const committed = driver.commit([{ partition, rows, checkpoint: CHECKPOINT }])
      await driver.close()
      await committed
      if (!driver.capabilities.durable) return
      const reopened = await (await open(at)).open('table', 0)
      expect([reopened.rows, reopened.checkpoint()]).toEqual([5000, CHECKPOINT])
    })
  })
}

function row(key: string, value: string | null): { readonly key: Buffer; readonly value: Buffer | null } {
  return { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) }
}

function openMany(driver: StoreDriver, count: number): Promise<readonly StorePartition[]> {
  return Promise.all(Array.from({ length: count }, (_, partition) => driver.open('table', partition)))
}
