import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

// Offsets in a page and in a meta page of LMDB's data format 2, in bytes.
const PAGE_FLAGS = 18
const MAGIC = 24
const VERSION = 28
const PAGE_SIZE = 48
const FREE_ROOT = 88
const MAIN_ROOT = 136
const LAST_PAGE = 144
const TRANSACTION = 152

const META_PAGE = 8
const MAGIC_NUMBER = 0xbeefc0de
const DATA_VERSION = 2
const BRANCH = 1
const LEAF = 2
const NO_PAGE = 0xffff_ffff_ffff_ffffn
const HEADER_BYTES = 160
const MAX_PAGE_SIZE = 65_536

/**
 * The damage of an LMDB data file; `undefined` if it looks sound. LMDB maps the file and trusts it: opening a truncated
 * file ends the process with a signal. An empty file is `empty`, because LMDB would take it for a new database.
 */
export function checkDataFile(path: string): string | undefined {
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    if (size === 0) return 'empty'
    const first = readAt(fd, 0, HEADER_BYTES)
    const pageSize = first.length < HEADER_BYTES ? 0 : first.readUInt32LE(PAGE_SIZE)
    if (!isMeta(first) || pageSize < 256 || pageSize > MAX_PAGE_SIZE || (pageSize & (pageSize - 1)) !== 0)
      return 'its first page is damaged'
    const second = readAt(fd, pageSize, HEADER_BYTES)
    if (!isMeta(second) || second.readUInt32LE(PAGE_SIZE) !== pageSize) return 'its second page is damaged'
    const newest = first.readBigUInt64LE(TRANSACTION) > second.readBigUInt64LE(TRANSACTION) ? first : second
    const needed = (newest.readBigUInt64LE(LAST_PAGE) + 1n) * BigInt(pageSize)
    if (needed > BigInt(size)) return `it has ${size} bytes of at least ${needed}`
    for (const at of [FREE_ROOT, MAIN_ROOT]) {
      const root = newest.readBigUInt64LE(at)
      if (root !== NO_PAGE && !isRoot(fd, root, pageSize)) return `its root page ${root} is damaged`
    }
    return undefined
  } finally {
    closeSync(fd)
  }
}

function isMeta(page: Buffer): boolean {
  if (page.length < HEADER_BYTES) return false
  return (
    (page.readUInt16LE(PAGE_FLAGS) & META_PAGE) !== 0 &&
    page.readUInt32LE(MAGIC) === MAGIC_NUMBER &&
    page.readUInt16LE(VERSION) === DATA_VERSION
  )
}

function isRoot(fd: number, number: bigint, pageSize: number): boolean {
  const page = readAt(fd, Number(number) * pageSize, MAGIC)
  if (page.length < MAGIC || page.readBigUInt64LE(0) !== number) return false
  return (page.readUInt16LE(PAGE_FLAGS) & (BRANCH | LEAF)) !== 0
}

function readAt(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  return bytes.subarray(0, readSync(fd, bytes, 0, length, position))
}
