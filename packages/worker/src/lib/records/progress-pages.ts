import { createHash } from 'node:crypto'
import {
  byPartition,
  type Clock,
  type CommitOffset,
  grouped,
  isMillraceError,
  MillraceError,
  partitionKey,
  type TopicPartition,
} from '@millrace/core'
import { type Reader, readStretches } from '@millrace/core/driver'

/** Name of the topic that holds an app's pages. */
export function progressTopic(appId: string): string {
  return `${appId}-__progress`
}

/** The most characters of one page: well below the default record limit of brokers. */
const PAGE_LENGTH = 256 * 1024
const REFERENCES = 'm2 @'
const RADIX = 36
/** The length of a page's digest in base64: 96 bits. */
const DIGEST_LENGTH = 16

/** A part of a long text, as a record of the progress topic. */
export interface ProgressPage {
  readonly partition: number
  /**
   * The offset that the broker reported. A broker that holds transactions back until their end may store the record
   * later.
   */
  readonly offset: number
  readonly digest: string
}

/** Splits a text that has no room in the metadata of a commit into pages. */
export function splitPages(text: string): readonly string[] {
  return Array.from({ length: Math.ceil(text.length / PAGE_LENGTH) }, (_, nth) =>
    text.slice(nth * PAGE_LENGTH, (nth + 1) * PAGE_LENGTH),
  )
}

/** The digest identifies a page by its content, so that no other record at its offset is taken for it. */
export function digestOf(page: string | Buffer): string {
  return createHash('sha256').update(page).digest('base64url').slice(0, DIGEST_LENGTH)
}

/** Metadata that refers to the pages: `m2 @{partition}:{offset}:{digest} …`, in order, numbers in base 36. */
export function referTo(pages: readonly ProgressPage[]): string {
  const texts = pages.map(
    ({ partition, offset, digest }) => `@${partition.toString(RADIX)}:${offset.toString(RADIX)}:${digest}`,
  )
  return ['m2', ...texts].join(' ')
}

/** The pages to which metadata refers; `undefined` if the metadata holds its text itself. */
export function pagesIn({ metadata, ...committed }: CommitOffset): readonly ProgressPage[] | undefined {
  if (!metadata.startsWith(REFERENCES)) return undefined
  return metadata
    .split(' ')
    .slice(1)
    .map((text) => {
      const [, partition = '', offset = '', digest = ''] = /^@([0-9a-z]+):([0-9a-z]+):([\w-]+)$/.exec(text) ?? []
      if (digest === '') throw missing(committed, `its commit says ${JSON.stringify(text.slice(0, 100))}`)
      return { partition: Number.parseInt(partition, RADIX), offset: Number.parseInt(offset, RADIX), digest }
    })
}

export interface ReadingPages {
  /** The progress topic of the app. */
  readonly topic: string
  /**
   * Reads uncommitted records too: a committed reference proves that its page is committed, so there is no need to wait
   * for the transactions of other tasks.
   */
  readonly reader: () => Reader
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
}

/**
 * Completes commits with the text of their pages in the metadata, as `decodeCommitMetadata` takes it.
 *
 * @throws MillraceError `PROGRESS_MISSING` if a page is missing
 */
export async function withPages(
  committed: readonly CommitOffset[],
  reading: ReadingPages,
): Promise<readonly CommitOffset[]> {
  const references = committed.map((one) => pagesIn(one))
  const wanted = references.flatMap((pages) => pages ?? [])
  if (wanted.length === 0) return committed
  const found = await readPages(wanted, reading)
  return committed.map((one, nth) => {
    const pages = references[nth]
    if (pages === undefined) return one
    const metadata = pages.map(({ digest, partition, offset }) => {
      const text = found.get(digest)
      if (text === undefined)
        throw missing(one, `there is no such record at ${partitionKey({ topic: reading.topic, partition })}@${offset}`)
      return text
    })
    return { ...one, metadata: metadata.join('') }
  })
}

/** The text of the pages by digest. */
async function readPages(wanted: readonly ProgressPage[], reading: ReadingPages): Promise<ReadonlyMap<string, string>> {
  const { topic, clock, signal } = reading
  const found = new Map<string, string>()
  const digests = new Set(wanted.map(({ digest }) => digest))
  try {
    const ends = byPartition(await offsetsOf(wanted, reading))
    const stretches = [...grouped(wanted, ({ partition }) => partition)].map(([partition, pages]) => {
      const at = { topic, partition }
      const { beginning = 0, end = 0 } = ends.get(partitionKey(at)) ?? {}
      return { ...at, start: Math.max(beginning, Math.min(...pages.map(({ offset }) => offset))), end }
    })
    for await (const { records } of readStretches(reading.reader(), stretches, { clock, signal }))
      for (const { value } of records) {
        const digest = value === null ? '' : digestOf(value)
        if (value === null || !digests.delete(digest)) continue
        found.set(digest, value.toString())
        if (digests.size === 0) return found
      }
  } catch (error) {
    // Without the partition all of its pages are missing.
    if (!isMillraceError(error, 'TOPIC_MISSING', 'PARTITION_MISSING')) throw error
  }
  return found
}

async function offsetsOf(
  pages: readonly ProgressPage[],
  { topic, reader: open }: ReadingPages,
): Promise<Awaited<ReturnType<Reader['offsets']>>> {
  const reader = open()
  try {
    const partitions = [...new Set(pages.map(({ partition }) => partition))]
    return await reader.offsets(partitions.map((partition) => ({ topic, partition })))
  } finally {
    await reader.close()
  }
}

function missing(committed: TopicPartition & { readonly offset: number }, why: string): MillraceError {
  return new MillraceError(
    'PROGRESS_MISSING',
    `The progress of agents on ${partitionKey(committed)} beyond offset ${committed.offset} is in the progress topic, but ${why}.`,
  )
}
