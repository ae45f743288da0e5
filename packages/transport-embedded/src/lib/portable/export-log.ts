import { createHash, randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { LmdbContents } from '../durable/lmdb-contents.ts'
import type { Durability } from '../durable/marker-file.ts'
import { type OpenedLog, openLog } from '../durable/open-log.ts'
import type { StoredTopic } from '../log/log-backend.ts'
import { copyLog, type LogPlace } from './copy-log.ts'
import { batchLine, encodeLine, type LogLine, type LogSummary, TEXT_VERSION } from './log-text.ts'

/** Lines are passed on in pieces of about this size. */
const PIECE_BYTES = 256 * 1024

/**
 * Exports a log as text (`LogLine`), one piece at a time. It reads a copy beside the log, so that the text is of one
 * moment whatever other processes do; there must be disk space for it.
 *
 * @throws as `copyLog` does; `LOG_CORRUPT` for damage, wherever it is; what `write` throws; the signal's reason
 */
export async function exportLog(
  place: LogPlace,
  write: (piece: Buffer) => Promise<void>,
  signal: AbortSignal,
): Promise<LogSummary> {
  const copy = join(place.directory, `millrace-log.copy-${randomUUID()}`)
  try {
    await copyLog(place, copy)
    const opened = await openLog(copy, undefined)
    // The copy is unlinked at once, so that nothing is left of it however the process ends. Windows does not remove
    // open files.
    if (process.platform !== 'win32') await rm(copy, { recursive: true })
    return await writeLog(opened, write, signal)
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

async function writeLog(
  { tables, durability }: OpenedLog,
  write: (piece: Buffer) => Promise<void>,
  signal: AbortSignal,
): Promise<LogSummary> {
  try {
    const digest = createHash('sha256')
    let records = 0
    let piece: Buffer[] = []
    let bytes = 0
    const flush = async (): Promise<void> => {
      signal.throwIfAborted()
      if (bytes > 0) await write(Buffer.concat(piece))
      piece = []
      bytes = 0
    }
    for (const line of linesOf(new LmdbContents(tables, () => 0), durability)) {
      const text = encodeLine(line)
      digest.update(text)
      piece.push(text)
      bytes += text.length
      if ('batch' in line) records += line.records.length
      if (bytes >= PIECE_BYTES) await flush()
    }
    const summary = { records, sha256: digest.digest('hex') }
    const end = encodeLine({ summary })
    piece.push(end)
    bytes += end.length
    await flush()
    return summary
  } finally {
    await tables.root.close()
  }
}

/** Nothing writes to the copy, so the generator may pause in it for any time. */
function* linesOf(contents: LmdbContents, durability: Durability): Generator<LogLine> {
  yield { millrace: 'log', version: TEXT_VERSION, durability }
  for (const topic of contents.topics()) {
    const { name, id, partitions, config } = topic
    yield { topic: name, id, partitions, config }
    for (let partition = 0; partition < partitions; partition++) yield* partitionLines(contents, topic, partition)
  }
  for (const { group, offset } of contents.commits()) yield { group, ...offset }
}

function* partitionLines(contents: LmdbContents, topic: StoredTopic, partition: number): Generator<LogLine> {
  const { start, end } = contents.bounds(topic, partition)
  yield { partition, start, end }
  for (let base = start; base < end;) {
    const row = contents.row(topic, partition, base)
    yield batchLine(base, row)
    base += row.span
  }
}
