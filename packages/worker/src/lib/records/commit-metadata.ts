import { type CommitOffset, MillraceError, partitionKey, refuseNewer } from '@millrace/core'
import { isTimeText } from './committed-times.ts'
import type { OffsetRange, Progress } from './positions.ts'

/** The size that Kafka keeps with an offset by default (`offset.metadata.max.bytes`). */
export const MAX_METADATA_BYTES = 4096

/** The share of it that sends may take: subscriptions and their gaps need the rest. */
const MAX_SENDS_BYTES = 1024

/** A topic to which events of an agent were seen to send. */
export interface AgentSend {
  readonly agent: string
  readonly topic: string
}

/** Sends in the form of the metadata. */
export type CommittedSends = ReadonlySet<string>

const NO_SENDS: CommittedSends = new Set()

export interface CommitMetadata {
  readonly text: string
  /** True if nothing had to be left out. */
  readonly complete: boolean
}

/**
 * Stands in place of the ids in a commit that was set from outside, and holds for every subscription. No agent can have
 * this name.
 */
export const ANY_SUBSCRIPTION = '*'

/** The highest format that this version reads. */
const FORMAT = 2
/** The format that fits into the metadata. */
const SHORT = 'm1'
/** The format of any length: pages in the progress topic hold it if the metadata has no room. */
const LONG = 'm2'
const RADIX = 36

/**
 * Encodes the metadata of a partition's committed offset: how far each subscription has got beyond the offset, so that
 * a new owner skips finished events. Ranges that do not fit are left out, the highest first. If that is not enough,
 * whole subscriptions are left out: then some events are handled again, and none is lost.
 *
 * Text: `m1 {id}:{position - offset}[,{gap}+{length}]… …`, ids URI-encoded, numbers in base 36, each gap counted from
 * the end before it. A subscription exactly at the offset needs only its id. It is written if there is room left, so
 * that outsiders can see who reads the partition. `times` (`committed-times.ts`) come first, and `sends` last, as far
 * as there is room.
 */
export function encodeCommitMetadata(
  offset: number,
  progress: ReadonlyMap<string, Progress>,
  sends: CommittedSends = NO_SENDS,
  times: readonly string[] = [],
): CommitMetadata {
  const ahead = [...progress].filter(([, { position, finished }]) => position > offset || finished.length > 0)
  if (progress.size === 0 && sends.size === 0 && times.length === 0) return { text: '', complete: true }
  const entries: { text: string; readonly finished: readonly OffsetRange[]; end: number; next: number }[] = []
  let room = MAX_METADATA_BYTES - SHORT.length
  const texts: string[] = []
  for (const text of times) {
    if (text.length + 1 > room) continue
    room -= text.length + 1
    texts.push(text)
  }
  const hasTimes = texts.length === times.length
  for (const [id, { position, finished }] of ahead) {
    const text = `${encodeURIComponent(id)}:${(position - offset).toString(RADIX)}`
    if (text.length + 1 > room) continue
    room -= text.length + 1
    entries.push({ text, finished, end: position, next: 0 })
  }
  // Subscriptions get one range each in turn, so that none uses up the room of the others.
  let growing = entries
  while (growing.length > 0) {
    growing = growing.filter((entry) => {
      const range = entry.finished[entry.next]
      if (range === undefined) return false
      const text = `,${(range.from - entry.end).toString(RADIX)}+${(range.to - range.from).toString(RADIX)}`
      if (text.length > room) return false
      room -= text.length
      entry.text += text
      entry.end = range.to
      entry.next++
      return true
    })
  }
  const complete =
    hasTimes && entries.length === ahead.length && entries.every(({ finished, next }) => next === finished.length)
  texts.push(...entries.map((entry) => entry.text))
  const isAhead = new Set(ahead.map(([id]) => id))
  for (const id of progress.keys()) {
    const text = `${encodeURIComponent(id)}:0`
    if (isAhead.has(id) || text.length + 1 > room) continue
    room -= text.length + 1
    texts.push(text)
  }
  room = Math.min(room, MAX_SENDS_BYTES)
  for (const text of sends) {
    if (text.length + 1 > room) continue
    room -= text.length + 1
    texts.push(text)
  }
  return { text: [SHORT, ...texts].join(' '), complete }
}

/**
 * Encodes all of the progress, at any length.
 *
 * Text: as that of `encodeCommitMetadata`, with `m2` for `m1`. Readers skip fields after the ranges of an entry,
 * `;{name}={value}`, so that later versions may add some without a new format.
 */
export function encodeProgress(
  offset: number,
  progress: ReadonlyMap<string, Progress>,
  sends: CommittedSends = NO_SENDS,
  times: readonly string[] = [],
): string {
  const texts = [...progress].map(([id, { position, finished }]) => {
    let end = position
    const ranges = finished.map(({ from, to }) => {
      const text = `,${(from - end).toString(RADIX)}+${(to - from).toString(RADIX)}`
      end = to
      return text
    })
    return `${encodeURIComponent(id)}:${(position - offset).toString(RADIX)}${ranges.join('')}`
  })
  return [LONG, ...texts, ...times, ...sends].join(' ')
}

/**
 * Decodes what `encodeCommitMetadata` or `encodeProgress` wrote with an offset. Text of other programs is ignored:
 * every subscription then starts at the offset.
 *
 * @throws MillraceError `FORMAT_NEWER`, and `PROGRESS_MISSING` for long text that is unreadable or whose pages were not
 *   read: starting at the offset would handle finished events again, even under exactly once.
 */
export function decodeCommitMetadata(committed: CommitOffset): ReadonlyMap<string, Progress> {
  const { offset, metadata } = committed
  const [version = '', ...entries] = metadata.split(' ')
  const progress = new Map<string, Progress>()
  if (version !== SHORT && version !== LONG) {
    const format = /^m(\d+)$/.exec(version)?.[1]
    if (format !== undefined)
      refuseNewer(`The commit of ${partitionKey(committed)} at offset ${offset}`, Number(format), FORMAT)
    return progress
  }
  for (const entry of entries) {
    if (parseSend(entry) !== undefined || isTimeText(entry)) continue
    const decoded = decodeEntry(offset, version === LONG ? withoutFields(entry) : entry)
    if (decoded === undefined && version === LONG)
      throw new MillraceError(
        'PROGRESS_MISSING',
        `The progress of agents on ${partitionKey(committed)} beyond offset ${offset} cannot be read: ${JSON.stringify(entry.slice(0, 100))}`,
      )
    if (decoded === undefined) return new Map()
    progress.set(decoded.id, decoded.progress)
  }
  return progress
}

function withoutFields(entry: string): string {
  const at = entry.indexOf(';')
  return at < 0 ? entry : entry.slice(0, at)
}

/**
 * One send in the text. A worker of an earlier release takes the entry for an unknown subscription, and skips it. No
 * subscription looks like this, because `>` in its id would be escaped.
 */
export function sendText({ agent, topic }: AgentSend): string {
  return `>${agent}>${topic}:0`
}

/** Parses what `sendText` wrote; `undefined` for an entry of another kind. */
export function parseSend(entry: string): AgentSend | undefined {
  const [, agent, topic] = /^>([^>]+)>([^>:]+):0$/.exec(entry) ?? []
  return agent === undefined || topic === undefined ? undefined : { agent, topic }
}

/** The sends that were written with an offset. */
export function committedSends(metadata: string): CommittedSends {
  if (!metadata.includes('>')) return NO_SENDS
  return new Set(metadata.split(' ').filter((entry) => parseSend(entry) !== undefined))
}

function decodeEntry(offset: number, entry: string): { readonly id: string; readonly progress: Progress } | undefined {
  const match = /^([^:]+):([0-9a-z]+)((?:,[0-9a-z]+\+[0-9a-z]+)*)$/.exec(entry)
  if (match === null) return undefined
  const [, id = '', delta = '', ranges = ''] = match
  const position = offset + Number.parseInt(delta, RADIX)
  const finished: OffsetRange[] = []
  let end = position
  for (const range of ranges.split(',').slice(1)) {
    const [gap = '', length = ''] = range.split('+')
    const from = end + Number.parseInt(gap, RADIX)
    end = from + Number.parseInt(length, RADIX)
    finished.push({ from, to: end })
  }
  if (!Number.isSafeInteger(end)) return undefined
  try {
    return { id: decodeURIComponent(id), progress: { position, finished } }
  } catch {
    // A malformed escape, which Millrace does not write.
    return undefined
  }
}
