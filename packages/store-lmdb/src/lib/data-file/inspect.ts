import { checkedText } from '../facts.ts'
import { DamageFound } from './damage-found.ts'
import { DataFile, type Snapshot, TREE_BYTES, type Tree, treeAt, wordAt } from './data-file.ts'
import { PageSet } from './page-set.ts'
import { type LeafNode, type WalkOptions, walkTree } from './walk-tree.ts'

const INTEGER_KEYS = 8
/** Flags of the tree of free pages that say how it is sorted; others are those of the environment. */
const KINDS_OF_KEYS = 0x7f
const DATABASE = 2
const FACTS = 'facts'
/** Other processes write: these many looks must find the file moving before it counts as in use. */
const LOOKS = 3

/** What a data file holds, as far as LMDB needs it to open it. */
export interface Inspection {
  readonly snapshot: Snapshot
  /** Of all databases. */
  readonly trees: ReadonlyMap<string, Tree>
  readonly free: PageSet
}

/** Where a file is being written by somebody else all the time, so that nothing can be said of it. */
export type Finding = Inspection | 'in use' | DamageFound

/**
 * Looks at everything in a data file but the rows of tables, for these are many: the list of free pages, which LMDB
 * would hand out for writing, the names of the databases, and the facts. What the file system throws, it throws.
 */
export function inspectDataFile(path: string): Finding {
  let finding: Finding = 'in use'
  for (let i = 0; i < LOOKS; i++) {
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
    const trees = new Map<string, Tree>()
    walkAll({
      ...of,
      tree: main,
      node: ({ page, flags, keyAt, valueAt, end }) => {
        if (flags !== DATABASE || end - valueAt !== TREE_BYTES) throw new DamageFound('the name of a table is damaged')
        trees.set(page.toString('utf8', keyAt, valueAt).replace(/\0$/, ''), treeAt(page, valueAt))
      },
    })
    const facts = trees.get(FACTS)
    if (facts !== undefined)
      walkAll({
        ...of,
        tree: facts,
        node: ({ page, keyAt, valueAt, end, large }) => {
          const name = page.toString('utf8', keyAt, valueAt)
          if (checkedText(name, large ?? page.subarray(valueAt, end)) === undefined)
            throw new DamageFound(`the fact "${name}" is damaged`)
        },
      })
    return { snapshot: file.snapshot, trees, free: pages }
  })
}

function freePages(file: DataFile, tree: Tree): PageSet {
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
  // The list itself stands on pages that must not be in it.
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
