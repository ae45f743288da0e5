import { createHash, randomUUID } from 'node:crypto'
import { existsSync, lstatSync, renameSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isMillraceError, makeDirectory, MillraceError } from '@millrace/core'
import { LmdbContents } from '../durable/lmdb-contents.ts'
import type { LmdbTables } from '../durable/lmdb-tables.ts'
import { createMarker, type Durability, markerPath } from '../durable/marker-file.ts'
import { dataPath, logError, openLog } from '../durable/open-log.ts'
import type { StoredTopic } from '../log/log-backend.ts'
import { MAX_PARTITIONS } from '../log/topic-settings.ts'
import { decodeLine, inLine, type LogLine, type LogSummary, rowOf } from './log-text.ts'

/** Lines gathered for one transaction. */
const GATHERED_BYTES = 4 * 1024 * 1024
/** No record that a log accepts makes a longer line. */
const LONGEST_LINE = 256 * 1024 * 1024
const NEWLINE = 0x0a

export interface ImportOptions {
  /** A directory without a log. */
  readonly directory: string
  readonly signal: AbortSignal
}

/**
 * Makes a log of a text from `exportLog`, with the same offsets, holes, times and ids, so that stores beside the log
 * remain usable. The log exists once the whole text has been read and verified, and not before.
 *
 * @throws `LOG_EXISTS` when there is a log already, `LOG_UNUSABLE` when there is no room; `LOG_TEXT_BROKEN` with the line when the text is
 * cut off, changed or something else; `FORMAT_NEWER`; what `text` throws; the signal's reason
 */
export async function importLog(
  text: AsyncIterable<Buffer>,
  { directory, signal }: ImportOptions,
): Promise<LogSummary> {
  makeDirectory(directory)
  refuseLogIn(directory)
  const draft = join(directory, `millrace-log.import-${randomUUID()}`)
  try {
    makeDirectory(draft)
    const { summary, durability } = await fill(draft, text, signal)
    refuseLogIn(directory)
    renameSync(dataPath(draft), dataPath(directory))
    createMarker(directory, durability)
    return summary
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/** Whether a directory has a log of any format. */
export function hasLog(directory: string): boolean {
  return filesIn(directory).some(existsSync)
}

function filesIn(directory: string): readonly string[] {
  return [dataPath(directory), markerPath(directory)]
}

/** A link counts even if its target is missing, because the disk of its log may be away. */
function refuseLogIn(directory: string): void {
  const there = filesIn(directory).find((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined)
  if (there !== undefined)
    throw new MillraceError('LOG_EXISTS', `There is a log in "${directory}" already ("${there}").`)
}

interface Filled {
  readonly summary: LogSummary
  readonly durability: Durability
}

async function fill(directory: string, text: AsyncIterable<Buffer>, signal: AbortSignal): Promise<Filled> {
  const lines = linesIn(text)
  const { value: first = Buffer.alloc(0) } = await lines.next()
  const head = decodeLine(first.toString())
  if (head === undefined || !('millrace' in head))
    throw new MillraceError('LOG_TEXT_BROKEN', 'Line 1 is not the beginning of the text of a log.')
  const { tables } = await openLog(directory, head.durability)
  const draft = new LogDraft(tables)
  try {
    const digest = createHash('sha256').update(first)
    let line = 1
    for await (const bytes of lines) {
      signal.throwIfAborted()
      line++
      const contents = readLine(bytes, line)
      if ('summary' in contents) {
        const summary = { records: draft.records, sha256: digest.digest('hex') }
        draft.end(line)
        if (summary.sha256 !== contents.summary.sha256 || summary.records !== contents.summary.records)
          throw new MillraceError(
            'LOG_TEXT_BROKEN',
            `The text has changed since it was made: its ${line - 1} lines do not have the digest that stands in line ${line}.`,
          )
        const { value, done } = await lines.next()
        if (done !== true)
          throw new MillraceError(
            'LOG_TEXT_BROKEN',
            `There is more after the end in line ${line}: ${value.length} bytes.`,
          )
        return { summary, durability: head.durability }
      }
      digest.update(bytes)
      draft.add(contents, line, bytes.length)
    }
    throw new MillraceError('LOG_TEXT_BROKEN', `The text is cut off behind line ${line}: it has no end.`)
  } finally {
    await tables.root.close()
  }
}

function readLine(bytes: Buffer, line: number): LogLine {
  const contents = inLine(line, () => decodeLine(bytes.toString()))
  const isWhole = bytes.at(-1) === NEWLINE
  if (contents === undefined || !isWhole || 'millrace' in contents)
    throw new MillraceError(
      'LOG_TEXT_BROKEN',
      isWhole
        ? `Line ${line} is no line of the text of a log: ${JSON.stringify(bytes.toString('utf8', 0, 80))}.`
        : `The text is cut off in line ${line}.`,
    )
  return contents
}

/** A log that is being filled, some lines per transaction. */
class LogDraft {
  readonly #tables: LmdbTables
  readonly #contents: LmdbContents
  #gathered: { readonly contents: LogLine; readonly line: number }[] = []
  #bytes = 0
  #records = 0
  #topic: StoredTopic | undefined
  /** The partition whose batches are read, and where the next one must begin. */
  #partition: { readonly number: number; readonly end: number; next: number } | undefined

  constructor(tables: LmdbTables) {
    this.#tables = tables
    this.#contents = new LmdbContents(tables, () => 0)
  }

  get records(): number {
    return this.#records
  }

  add(contents: LogLine, line: number, bytes: number): void {
    this.#gathered.push({ contents, line })
    this.#bytes += bytes
    if ('batch' in contents) this.#records += contents.records.length
    if (this.#bytes >= GATHERED_BYTES) this.#write()
  }

  end(line: number): void {
    this.#write()
    inLine(line, () => this.#endTopic())
  }

  #write(): void {
    const lines = this.#gathered
    this.#gathered = []
    this.#bytes = 0
    try {
      // Synchronous, because on a full disk an asynchronous commit also rejects a promise that nobody holds.
      this.#tables.root.transactionSync(() => {
        for (const { contents, line } of lines) inLine(line, () => this.#put(contents))
      })
    } catch (thrown) {
      if (isMillraceError(thrown)) throw thrown
      throw logError(thrown, `The log in "${this.#tables.directory}" could not be written:`)
    }
  }

  #put(contents: LogLine): void {
    if ('group' in contents) {
      this.#endTopic()
      const { group, topic, partition, offset, metadata } = contents
      const stored = this.#contents.topic(topic)
      if (stored === undefined || partition >= stored.partitions) throw new Error(`there is no ${topic}/${partition}`)
      this.#contents.putCommitted(group, { topic, partition, offset, metadata })
    } else if ('topic' in contents) {
      this.#endTopic()
      const { topic: name, id, partitions, config } = contents
      if (this.#contents.topic(name) !== undefined) throw new Error(`topic "${name}" comes twice`)
      // Each partition is a row from here on: a wrong number must not fill the disk first.
      if (partitions < 1 || partitions > MAX_PARTITIONS)
        throw new Error(`topic "${name}" has ${partitions} partitions; 1 to ${MAX_PARTITIONS} are possible`)
      this.#contents.putTopic({ name, id, partitions, config })
      this.#topic = this.#contents.topic(name)
    } else if ('partition' in contents) this.#beginPartition(contents)
    else if ('batch' in contents) {
      const [topic, partition] = [this.#topic, this.#partition]
      if (topic === undefined || partition?.next !== contents.batch) throw new Error('its offsets do not follow')
      const row = rowOf(contents)
      if (row.span < 1) throw new Error('it covers no offsets')
      this.#contents.putRow(topic, partition.number, { ...row, base: contents.batch })
      partition.next += row.span
    }
  }

  #beginPartition({
    partition,
    start,
    end,
  }: {
    readonly partition: number
    readonly start: number
    readonly end: number
  }): void {
    this.#endPartition()
    const topic = this.#topic
    const expected = this.#partition === undefined ? 0 : this.#partition.number + 1
    if (topic === undefined || partition !== expected || partition >= topic.partitions || end < start)
      throw new Error('it is not the partition that follows')
    this.#contents.putBounds(topic, partition, { start, end })
    this.#partition = { number: partition, end, next: start }
  }

  #endPartition(): void {
    const partition = this.#partition
    if (partition !== undefined && partition.next !== partition.end)
      throw new Error(`partition ${partition.number} before it ends at ${partition.next}, not at ${partition.end}`)
  }

  /** Called when everything of the topic must have been read. */
  #endTopic(): void {
    this.#endPartition()
    const found = this.#partition === undefined ? 0 : this.#partition.number + 1
    if (this.#topic !== undefined && found !== this.#topic.partitions)
      throw new Error(`topic "${this.#topic.name}" before it has ${found} of ${this.#topic.partitions} partitions`)
    this.#topic = undefined
    this.#partition = undefined
  }
}

/** Lines with their ends; the last one as it is. */
async function* linesIn(text: AsyncIterable<Buffer>): AsyncGenerator<Buffer, undefined> {
  let line: Buffer[] = []
  let bytes = 0
  for await (const piece of text) {
    let from = 0
    for (let at = piece.indexOf(NEWLINE); at >= 0; at = piece.indexOf(NEWLINE, from)) {
      line.push(piece.subarray(from, at + 1))
      yield Buffer.concat(line)
      line = []
      bytes = 0
      from = at + 1
    }
    const rest = piece.subarray(from)
    bytes += rest.length
    if (bytes > LONGEST_LINE) throw new MillraceError('LOG_TEXT_BROKEN', `A line is longer than ${LONGEST_LINE} bytes.`)
    if (rest.length > 0) line.push(rest)
  }
  if (line.length > 0) yield Buffer.concat(line)
  return undefined
}
