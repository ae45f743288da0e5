import { checkedValue, isSound, seedOf } from './checked-row.ts'
import { DamageFound } from './data-file/damage-found.ts'
import { DataFile } from './data-file/data-file.ts'
import type { Inspection } from './data-file/inspect.ts'
import { type LeafNode, walkTree } from './data-file/walk-tree.ts'

/** Rows read before others get their turn: some milliseconds. */
const ROWS_A_TURN = 10_000
/** The one flag a row may have: its value is large. */
const LARGE = 1

export interface PartitionCheck {
  readonly path: string
  /** Name of the database. */
  readonly database: string
  /** As it was before anybody of this process wrote. */
  readonly inspection: Inspection
}

/**
 * Reads all of a table partition that nobody has written to since the file was inspected, and tells what is wrong with
 * it. `undefined`: every row is as it was written, none is missing, and LMDB can read it.
 */
export async function checkPartition({ path, database, inspection }: PartitionCheck): Promise<string | undefined> {
  const tree = inspection.trees.get(database)
  if (tree === undefined) return undefined
  const seed = seedOf(database)
  const node = ({ page, flags, keyAt, valueAt, end, large }: LeafNode): void => {
    const key = page.subarray(keyAt, valueAt)
    const sound =
      large === undefined
        ? flags === 0 && isSound(page.subarray(keyAt, end), seed)
        : flags === LARGE && checkedValue({ key, value: large }, seed) !== undefined
    if (!sound) throw new DamageFound('a row does not fit its checksum')
  }
  const file = new DataFile(path, inspection.snapshot)
  try {
    let rows = 0
    for (const read of walkTree({ file, tree, flags: 0, order: 'bytes', free: inspection.free, node })) {
      rows += read
      if (rows < ROWS_A_TURN) continue
      rows = 0
      await new Promise((resolve) => setImmediate(resolve))
    }
    return undefined
  } catch (thrown) {
    if (thrown instanceof DamageFound) return thrown.message
    throw thrown
  } finally {
    file.close()
  }
}
