import { checkedText } from '../facts.ts'
import { DamageFound, DataFile, TREE_BYTES, treeAt, wordAt, type Snapshot, type PageTree } from './data-file.ts'
import { PageSet, walkTree, type LeafNode, type WalkOptions } from './walk-tree.ts'
import { checkedValue, isSound, seedOf } from '../checked-row.ts'

const INTEGER_KEYS = 8
/** Flags of the tree of free pages that say how it is sorted; others are those of the environment. */
const KINDS_OF_KEYS = 0x7f
const DATABASE = 2
const FACTS = 'facts'
/** Name of the fact that identifies the process which has the store. */
export const OWNER = 'owner'
/** The file must have changed in this many attempts before it counts as in use. */
const ATTEMPTS = 3

/** The contents of a data file that LMDB needs to open it. */
export interface Inspection {
  readonly snapshot: Snapshot
  /** The trees of all databases. */
  readonly trees: ReadonlyMap<string, PageTree>
  readonly free: PageSet
  /** The recorded owner of the store; after a crash the last one. */
  readonly owner: string | undefined
}

/** `in use` if another process keeps writing the file, which then cannot be inspected. */
export type InspectionResult = Inspection | 'in use' | DamageFound

/**
 * Checks everything in a data file except the rows of tables, which are many: the list of free pages, which LMDB would
 * use for writing, the names of the databases, and the facts. Rethrows errors of the file system.
 */
export function inspectDataFile(path: string): InspectionResult {
  let finding: InspectionResult = 'in use'
  for (let i = 0; i < ATTEMPTS; i++) {
    const file = found(() => new DataFile(path))
    if (file instanceof DamageFound) {
      finding = file
      continue
    }
    try {
      const inspected = inspect(file)
      if (!(inspected instanceof DamageFound) || !moved(file)) return inspected
      finding = 'in use'
    } finally {
      file.close()
    }
  }
  return finding
}

function moved(file: DataFile): boolean {
  const latest = found(() => file.latest())
  return !(latest instanceof DamageFound) && latest.transaction !== file.snapshot.transaction
}

function inspect(file: DataFile): Inspection | DamageFound {
  return found(() => {
    const { free, main } = file.snapshot
    const pages = freePages(file, free)
    const of = { file, flags: 0, order: 'bytes', free: pages } as const
    const trees = new Map<string, PageTree>()
    walkAll({
      ...of,
      tree: main,
      node: ({ page, flags, keyAt, valueAt, end }) => {
        if (flags !== DATABASE || end - valueAt !== TREE_BYTES) throw new DamageFound('the name of a table is damaged')
        trees.set(page.toString('utf8', keyAt, valueAt).replace(/\0$/, ''), treeAt(page, valueAt))
      },
    })
    const facts = trees.get(FACTS)
    let owner: string | undefined
    if (facts !== undefined)
      walkAll({
        ...of,
        tree: facts,
        node: ({ page, keyAt, valueAt, end, large }) => {
          const name = page.toString('utf8', keyAt, valueAt)
          const text = checkedText(name, large ?? page.subarray(valueAt, end))
          if (text === undefined) throw new DamageFound(`the fact "${name}" is damaged`)
          if (name === OWNER) owner = text
        },
      })
    return { snapshot: file.snapshot, trees, free: pages, owner }
  })
}

function freePages(file: DataFile, tree: PageTree): PageSet {
  const { lastPage } = file.snapshot
  const pages = new PageSet(lastPage)
  const node = ({ page, flags, valueAt, end, large }: LeafNode): void => {
    const list = large ?? page.subarray(valueAt, end)
    const count = list.length < 8 ? Infinity : wordAt(list, 0)
    if ((flags & DATABASE) !== 0 || count > list.length / 8 - 1)
      throw new DamageFound('its list of free pages is damaged')
    for (let i = 1; i <= count; i++) {
      // A negative entry is the length of a run that the next one starts; 0 is a gap.
      let length = 1
      if (list.readInt32LE(8 * i + 4) < 0) length = -Number(list.readBigInt64LE(8 * i++))
      else if (wordAt(list, 8 * i) === 0) continue
      const first = i <= count ? wordAt(list, 8 * i) : Infinity
      if (!(first >= 2 && first + length - 1 <= lastPage)) throw new DamageFound('its list of free pages is damaged')
      for (let p = first; p < first + length; p++)
        if (!pages.add(p)) throw new DamageFound(`its page ${p} is twice in the list of free pages`)
    }
  }
  const flags = tree.flags & KINDS_OF_KEYS
  if (flags !== INTEGER_KEYS) throw new DamageFound('the kind of its list of free pages has changed')
  const of = { file, tree: { ...tree, flags }, flags, order: 'numbers' } as const
  walkAll({ ...of, free: new PageSet(lastPage), node })
  // The list's own pages must not be in it.
  walkAll({ ...of, free: pages, node: () => {} })
  return pages
}

function walkAll(options: WalkOptions): void {
  const pages = walkTree(options)
  while (pages.next().done !== true);
}

function found<T>(look: () => T): T | DamageFound {
  try {
    return look()
  } catch (thrown) {
    if (thrown instanceof DamageFound) return thrown
    throw thrown
  }
}

/** How many rows are read before other work gets its turn: some milliseconds. */
const ROWS_A_TURN = 10_000
/** The one flag that a row may have: its value is large. */
const LARGE = 1

export interface PartitionCheck {
  readonly path: string
  /** Name of the database. */
  readonly database: string
  /** The inspection from before this process wrote. */
  readonly inspection: Inspection
}

/**
 * Reads all of a table partition that has not been written since the file was inspected, and returns its damage.
 * `undefined` means that every row is as written, none is missing, and LMDB can read it.
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
