import { DamageFound, PAGE_HEADER_BYTES, wordAt, type DataFile, type PageTree } from './data-file.ts'

const BRANCH = 1
const LEAF = 2
const OVERFLOW = 4
const NODE_HEADER_BYTES = 8
const OVERFLOW_NODE_BYTES = 24
/** Pages before this one are meta pages. */
const FIRST_PAGE = 2

/** Flag of a node whose value has its own pages. */
const BIG = 1

/** One entry of a leaf page. The bytes are valid until the walk continues. */
export interface LeafNode {
  readonly page: Buffer
  readonly flags: number
  readonly keyAt: number
  /** Where the key ends and the value begins, unless the value is large. */
  readonly valueAt: number
  readonly end: number
  /** A value that has its own pages. */
  readonly large: Buffer | undefined
}

export interface WalkOptions {
  readonly file: DataFile
  readonly tree: PageTree
  /** Flags that the tree must have. */
  readonly flags: number
  /** How its keys are sorted. */
  readonly order: 'bytes' | 'numbers'
  /** Pages that no tree may use. */
  readonly free: PageSet
  readonly node: (node: LeafNode) => void
}

interface PageStep {
  readonly page: number
  readonly depth: number
  /** Keys of the page are not before this one… */
  readonly low: Buffer | undefined
  /** … and before this one. */
  readonly high: Buffer | undefined
}

/**
 * Reads every page of a tree and checks everything that LMDB takes for granted, so that a search for a key finds it and
 * ends in no signal: numbers, kinds and bounds of pages and nodes, the order of the keys within and between pages, and
 * the counts. Yields after each page, with the number of nodes on it. Throws `DamageFound`.
 */
export function* walkTree(options: WalkOptions): Generator<number, void> {
  const { file, tree, free } = options
  const { lastPage, transaction, pageSize } = file.snapshot
  const compare = options.order === 'bytes' ? compareBytes : compareNumbers
  let branchPages = 0
  let leafPages = 0
  let overflowPages = 0
  let entries = 0

  const use = (page: number, count: number): void => {
    if (!(page >= FIRST_PAGE && page + count - 1 <= lastPage)) throw new DamageFound(`it has no page ${page}`)
    for (let i = page; i < page + count; i++)
      if (free.has(i)) throw new DamageFound(`its page ${i} is both in use and free`)
  }
  const fail = (page: number, what: string): DamageFound => new DamageFound(`its page ${page} is damaged: ${what}`)
  const checkHeader = (bytes: Buffer, page: number, kind: number): void => {
    if (wordAt(bytes, 0) !== page) throw fail(page, 'it has another number')
    if (wordAt(bytes, 8) > transaction) throw fail(page, 'it is of a later commit')
    if (bytes.readUInt16LE(18) !== kind) throw fail(page, 'it is of another kind')
  }
  const large = (node: Buffer, at: number, of: { readonly page: number; readonly bytes: number }): Buffer => {
    const page = wordAt(node, at)
    const count = wordAt(node, at + 16)
    // A value that has become smaller keeps its previous pages.
    if (count < Math.floor((PAGE_HEADER_BYTES - 1 + of.bytes) / pageSize) + 1 || wordAt(node, at + 8) > transaction)
      throw fail(of.page, 'the size of a large value')
    use(page, count)
    const bytes = file.pages(page, count)
    checkHeader(bytes, page, OVERFLOW)
    if (bytes.readUInt32LE(20) !== count) throw fail(page, 'the number of pages')
    overflowPages += count
    return bytes.subarray(PAGE_HEADER_BYTES, PAGE_HEADER_BYTES + of.bytes)
  }

  if (tree.flags !== options.flags) throw new DamageFound('the kind of a tree has changed')
  const steps: PageStep[] =
    tree.root === undefined ? [] : [{ page: tree.root, depth: 1, low: undefined, high: undefined }]
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    use(step.page, 1)
    const bytes = file.page(step.page)
    const isLeaf = step.depth === tree.depth
    checkHeader(bytes, step.page, isLeaf ? LEAF : BRANCH)
    const lower = bytes.readUInt16LE(20)
    const upper = bytes.readUInt16LE(22)
    const count = lower >>> 1
    if ((lower & 1) !== 0 || lower > upper || upper > pageSize - PAGE_HEADER_BYTES || count < (isLeaf ? 1 : 2))
      throw fail(step.page, 'its bounds')
    const children: PageStep[] = []
    let before = -1
    let beforeEnd = -1
    for (let i = 0; i < count; i++) {
      const offset = bytes.readUInt16LE(PAGE_HEADER_BYTES + 2 * i)
      const at = PAGE_HEADER_BYTES + offset
      if (offset < upper || (offset & 1) !== 0 || at + NODE_HEADER_BYTES > pageSize) throw fail(step.page, 'a node')
      const keyAt = at + NODE_HEADER_BYTES
      const valueAt = keyAt + bytes.readUInt16LE(at + 6)
      if (valueAt > pageSize) throw fail(step.page, 'the size of a key')
      // The first key of a branch page stands for all keys before the second.
      const bare = !isLeaf && i === 0
      if (!bare) {
        if (before >= 0 && compare(bytes, [before, beforeEnd], bytes, [keyAt, valueAt]) >= 0)
          throw fail(step.page, 'the order of its keys')
        if (i < 2 && step.low !== undefined && compare(step.low, [0, step.low.length], bytes, [keyAt, valueAt]) > 0)
          throw fail(step.page, 'a key that belongs before it')
        before = keyAt
        beforeEnd = valueAt
      }
      if (isLeaf) {
        const flags = bytes.readUInt16LE(at + 4)
        const size = bytes.readUInt32LE(at)
        const end = valueAt + ((flags & BIG) === 0 ? size : OVERFLOW_NODE_BYTES)
        if (end > pageSize) throw fail(step.page, 'the size of a value')
        options.node({
          page: bytes,
          flags,
          keyAt,
          valueAt,
          end,
          large: (flags & BIG) === 0 ? undefined : large(bytes, valueAt, { page: step.page, bytes: size }),
        })
      } else {
        const low = bare ? step.low : Buffer.from(bytes.subarray(keyAt, valueAt))
        const last = children.pop()
        if (last !== undefined) children.push({ ...last, high: low })
        const page = bytes.readUInt32LE(at) + bytes.readUInt16LE(at + 4) * 0x1_0000_0000
        children.push({ page, depth: step.depth + 1, low, high: step.high })
      }
    }
    if (step.high !== undefined && compare(bytes, [before, beforeEnd], step.high, [0, step.high.length]) >= 0)
      throw fail(step.page, 'a key that belongs after it')
    for (let child = children.pop(); child !== undefined; child = children.pop()) steps.push(child)
    if (isLeaf) {
      leafPages++
      entries += count
    } else branchPages++
    yield count
  }
  const counted =
    branchPages === tree.branchPages &&
    leafPages === tree.leafPages &&
    overflowPages === tree.overflowPages &&
    entries === tree.entries
  if (!counted) throw new DamageFound(`a tree has ${entries} entries and not ${tree.entries}, or other pages`)
}

type Span = readonly [from: number, to: number]

/** Compares like `memcmp`, the shorter first. */
function compareBytes(a: Buffer, [aFrom, aTo]: Span, b: Buffer, [bFrom, bTo]: Span): number {
  const length = Math.min(aTo - aFrom, bTo - bFrom)
  for (let i = 0; i < length; i++) {
    const difference = (a[aFrom + i] ?? 0) - (b[bFrom + i] ?? 0)
    if (difference !== 0) return difference
  }
  return aTo - aFrom - (bTo - bFrom)
}

function compareNumbers(a: Buffer, [aFrom, aTo]: Span, b: Buffer, [bFrom, bTo]: Span): number {
  if (aTo - aFrom !== 8 || bTo - bFrom !== 8) throw new DamageFound('a number has another size')
  return wordAt(a, aFrom) - wordAt(b, bFrom)
}

/** A set of pages of a file: one bit each. */
export class PageSet {
  readonly #bits: Uint8Array
  readonly #lastPage: number

  constructor(lastPage: number) {
    this.#lastPage = lastPage
    this.#bits = new Uint8Array((lastPage >>> 3) + 1)
  }

  /** Returns false if the page is in the set already, or not in the file. */
  add(page: number): boolean {
    if (!(page >= 0 && page <= this.#lastPage) || this.has(page)) return false
    const at = page >>> 3
    this.#bits[at] = (this.#bits[at] ?? 0) | (1 << (page & 7))
    return true
  }

  has(page: number): boolean {
    return ((this.#bits[page >>> 3] ?? 0) & (1 << (page & 7))) !== 0
  }
}
