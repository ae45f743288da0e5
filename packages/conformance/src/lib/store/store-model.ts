import { expect } from 'vitest'
import type { Checkpoint, StoreDriver, StorePartition } from '@millrace/core/driver'
import { MODEL_PARTITIONS, type StoreOperation } from './store-operations.ts'
import type { StorePlace } from './store-place.ts'

/** The expected contents of a partition: values by the key's bytes in hex, which sorts like the bytes. */
interface ModelPartition {
  rows: Map<string, Buffer>
  checkpoint: Checkpoint | undefined
}

/** Runs the steps on a store and on maps, and compares them after each step. */
export async function checkStoreModel(place: StorePlace, operations: readonly StoreOperation[]): Promise<void> {
  const model = Array.from({ length: MODEL_PARTITIONS }, (): ModelPartition => ({
    rows: new Map(),
    checkpoint: undefined,
  }))
  const open = new Map<number, StorePartition>()
  let driver = await place.open()
  const partitionOf = async (partition: number): Promise<StorePartition> => {
    const opened = open.get(partition) ?? (await driver.open('model', partition))
    open.set(partition, opened)
    return opened
  }
  const forget = (partition: number): void => {
    open.delete(partition)
    if (!driver.capabilities.durable) model[partition] = { rows: new Map(), checkpoint: undefined }
  }
  try {
    for (const operation of operations) {
      switch (operation.type) {
        case 'commit':
          await commit(
            driver,
            model,
            await Promise.all(
              operation.changes.map(async (change) => ({ ...change, partition: await partitionOf(change.partition) })),
            ),
          )
          break
        case 'clear':
          await (await partitionOf(operation.partition)).clear()
          model[operation.partition] = { rows: new Map(), checkpoint: undefined }
          break
        case 'close':
          await (await partitionOf(operation.partition)).close()
          forget(operation.partition)
          break
        case 'range':
          compareRange(await partitionOf(operation.partition), model[operation.partition], operation)
          break
        case 'reopen':
          await driver.close()
          for (const partition of Array.from(model.keys())) forget(partition)
          driver = await place.open()
          break
      }
      for (const [partition, opened] of open) compare(opened, model[partition])
      for (const [partition, { checkpoint }] of model.entries())
        expect(driver.checkpoint('model', partition)).toEqual(checkpoint)
    }
    for (const partition of model.keys()) compare(await partitionOf(partition), model[partition])
  } finally {
    await driver.close()
  }
}

async function commit(
  driver: StoreDriver,
  model: ModelPartition[],
  changes: Parameters<StoreDriver['commit']>[0],
): Promise<void> {
  await driver.commit(changes)
  for (const { partition, rows, checkpoint } of changes) {
    const expected = model[partition.partition]
    if (expected === undefined) continue
    for (const { key, value } of rows) {
      if (value === null) expected.rows.delete(key.toString('hex'))
      else expected.rows.set(key.toString('hex'), value)
    }
    if (checkpoint !== undefined) expected.checkpoint = checkpoint
  }
}

function compare(actual: StorePartition, expected: ModelPartition | undefined): void {
  if (expected === undefined) return
  expect(actual.rows).toBe(expected.rows.size)
  expect(actual.checkpoint()).toEqual(expected.checkpoint)
  expect(hexRows(actual.range())).toEqual(sortedRows(expected))
  for (const [key, value] of expected.rows)
    expect(actual.get(Buffer.from(key, 'hex'))?.toString('hex')).toBe(value.toString('hex'))
}

function compareRange(
  actual: StorePartition,
  expected: ModelPartition | undefined,
  range: { readonly from: Buffer | undefined; readonly to: Buffer | undefined; readonly limit: number },
): void {
  if (expected === undefined) return
  const { from, to, limit } = range
  const rows = actual.range({ ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }), limit })
  const wanted = sortedRows(expected).filter(
    ([key]) => key >= (from?.toString('hex') ?? '') && (to === undefined || key < to.toString('hex')),
  )
  expect(hexRows(rows)).toEqual(wanted.slice(0, limit))
  const back = actual.range({
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    limit,
    reverse: true,
  })
  expect(hexRows(back)).toEqual(wanted.toReversed().slice(0, limit))
}

function sortedRows({ rows }: ModelPartition): readonly (readonly [string, string])[] {
  return [...rows].map(([key, value]) => [key, value.toString('hex')] as const).sort(([a], [b]) => (a < b ? -1 : 1))
}

function hexRows(rows: readonly (readonly [Buffer, Buffer])[]): readonly (readonly [string, string])[] {
  return rows.map(([key, value]) => [key.toString('hex'), value.toString('hex')] as const)
}
