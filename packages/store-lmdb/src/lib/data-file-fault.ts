import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const META_FLAG = 8
const TREE_FLAGS = 1 | 2
const MAGIC = 0xbeefc0de
const DATA_VERSION = 2
const NO_PAGE = 0xffff_ffff_ffff_ffffn
/** The fields of a meta page end before this. */
const META_BYTES = 160
const PAGE_SIZES: ReadonlySet<number> = new Set([256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536])

interface Meta {
  readonly pageSize: number
  readonly roots: readonly bigint[]
  readonly lastPage: bigint
  readonly transaction: bigint
}

/**
 * What is wrong with an LMDB data file, or `undefined`. LMDB maps the file and believes it, so opening a file that was cut
 * off or overwritten ends the process with a signal: this looks first. Damage in the middle of the file is not seen here.
 */
export function dataFileFault(path: string): string | undefined {
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    if (size === 0) return 'it is empty'
    const first = metaAt(fd, 0)
    if (first === undefined) return 'its first page is damaged'
    const second = metaAt(fd, first.pageSize)
    if (second === undefined || second.pageSize !== first.pageSize) return 'its second page is damaged'
    const { roots, lastPage, pageSize } = second.transaction > first.transaction ? second : first
    const least = (lastPage + 1n) * BigInt(pageSize)
    if (BigInt(size) < least) return `it is cut off: ${size} bytes of ${least}`
    const broken = roots.find((root) => root !== NO_PAGE && !isTreePage(fd, root, pageSize))
    return broken === undefined ? undefined : `its page ${broken} is damaged`
  } finally {
    closeSync(fd)
  }
}

function metaAt(fd: number, position: number): Meta | undefined {
  const page = bytesAt(fd, position, META_BYTES)
  if (page.length < META_BYTES) return undefined
  const isMeta =
    (page.readUInt16LE(18) & META_FLAG) !== 0 &&
    page.readUInt32LE(24) === MAGIC &&
    page.readUInt16LE(28) === DATA_VERSION
  const pageSize = page.readUInt32LE(48)
  if (!isMeta || !PAGE_SIZES.has(pageSize)) return undefined
  return {
    pageSize,
    roots: [page.readBigUInt64LE(88), page.readBigUInt64LE(136)],
    lastPage: page.readBigUInt64LE(144),
    transaction: page.readBigUInt64LE(152),
  }
}

function isTreePage(fd: number, page: bigint, pageSize: number): boolean {
  const head = bytesAt(fd, Number(page) * pageSize, 24)
  return head.length === 24 && head.readBigUInt64LE(0) === page && (head.readUInt16LE(18) & TREE_FLAGS) !== 0
}

function bytesAt(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  return bytes.subarray(0, readSync(fd, bytes, 0, length, position))
}
