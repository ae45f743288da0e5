import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** The header of every page except the later ones of a run. */
export const PAGE_HEADER_BYTES = 24
/** The size of LMDB's description of a tree. */
export const TREE_BYTES = 48
const META_BYTES = 160
const META_FLAG = 8
const MAGIC = 0xbeefc0de
const DATA_VERSION = 2
const PAGE_SIZES: ReadonlySet<number> = new Set([256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536])

/** LMDB's description of one of its trees. */
export interface PageTree {
  readonly flags: number
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  readonly entries: number
  /** `undefined` for an empty tree. */
  readonly root: number | undefined
}

/** A state of the whole file: the last commit. */
export interface Snapshot {
  readonly pageSize: number
  readonly lastPage: number
  readonly transaction: number
  /** The tree of free pages. */
  readonly free: PageTree
  /** The tree of the databases by name. */
  readonly main: PageTree
}

/** An LMDB data file, read as a file: LMDB itself maps it and trusts it, and damage ends the process with a signal. */
export class DataFile {
  readonly snapshot: Snapshot
  readonly #fd: number
  readonly #page: Buffer

  /** `snapshot`: read earlier, while no process wrote. Throws `DamageFound`, or errors of the file system. */
  constructor(path: string, snapshot?: Snapshot) {
    this.#fd = openSync(path, 'r')
    try {
      this.snapshot = snapshot ?? this.latest()
      this.#page = Buffer.alloc(this.snapshot.pageSize)
    } catch (thrown) {
      this.close()
      throw thrown
    }
  }

  /** The present state of the file; another process may be writing. */
  latest(): Snapshot {
    const { size } = fstatSync(this.#fd)
    if (size === 0) throw new DamageFound('it is empty')
    const first = this.#meta(0)
    if (first === undefined) throw new DamageFound('its first page is damaged')
    const second = this.#meta(first.pageSize)
    if (second === undefined || second.pageSize !== first.pageSize) throw new DamageFound('its second page is damaged')
    const latest = second.transaction > first.transaction ? second : first
    const least = (latest.lastPage + 1) * latest.pageSize
    if (size < least) throw new DamageFound(`it is cut off: ${size} bytes of ${least}`)
    return latest
  }

  /** A page; the bytes are valid until the next call. */
  page(number: number): Buffer {
    this.#read(this.#page, number)
    return this.#page
  }

  /** Several pages in a row. */
  pages(first: number, count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count * this.snapshot.pageSize)
    this.#read(bytes, first)
    return bytes
  }

  close(): void {
    closeSync(this.#fd)
  }

  #read(into: Buffer, page: number): void {
    const read = readSync(this.#fd, into, 0, into.length, page * this.snapshot.pageSize)
    if (read < into.length) throw new DamageFound(`its page ${page} is missing`)
  }

  #meta(position: number): Snapshot | undefined {
    const page = Buffer.alloc(META_BYTES)
    if (readSync(this.#fd, page, 0, META_BYTES, position) < META_BYTES) return undefined
    const isMeta =
      page.readUInt16LE(18) === META_FLAG && page.readUInt32LE(24) === MAGIC && page.readUInt16LE(28) === DATA_VERSION
    const pageSize = page.readUInt32LE(48)
    if (!isMeta || !PAGE_SIZES.has(pageSize)) return undefined
    return {
      pageSize,
      free: treeAt(page, 48),
      main: treeAt(page, 96),
      lastPage: wordAt(page, 144),
      transaction: wordAt(page, 152),
    }
  }
}

export function treeAt(bytes: Buffer, at: number): PageTree {
  const root = wordAt(bytes, at + 40)
  return {
    flags: bytes.readUInt16LE(at + 4),
    depth: bytes.readUInt16LE(at + 6),
    branchPages: wordAt(bytes, at + 8),
    leafPages: wordAt(bytes, at + 16),
    overflowPages: wordAt(bytes, at + 24),
    entries: wordAt(bytes, at + 32),
    root: root > Number.MAX_SAFE_INTEGER ? undefined : root,
  }
}

/** A number of 64 bits. It is inexact beyond 2^53, but still beyond 2^53. */
export function wordAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x1_0000_0000
}

/** A description of the damage to a data file, without a full stop, for the middle of a sentence. */
export class DamageFound extends Error {
  override readonly name: string = 'DamageFound'
}
