import { deferred, type Deferred, MillraceError, NO_HEADERS, raceAbort, toError } from '@millrace/core'
import { readToEnd, type TransactionalProducer } from '@millrace/core/driver'
import type { Leadership, WorkerContext } from '@millrace/worker'

/** Maximum rows of one transaction. */
const MAX_ROWS = 500

const PARTITION = 0

interface Pending {
  readonly key: string
  readonly value: Buffer
  readonly stored: Deferred<void>
}

interface SlotLogParts {
  readonly topic: string
  readonly worker: Pick<WorkerContext, 'clock'>
  readonly leadership: Leadership
  readonly producer: TransactionalProducer
}

/**
 * The compacted topic where leaders store what ran. Only one of them can write: opening the log fences all earlier
 * leaders, and their writes fail. After a failed write nothing more can be written; opening the log again shows whether
 * that write counts.
 */
export class SlotLog {
  /** The rows by key, as read when the log was opened. */
  readonly rows: ReadonlyMap<string, Buffer>
  /** Resolves with the error when the log can no longer be written to, or with `undefined` when it is closed. */
  readonly ended: Promise<Error | undefined>
  readonly #parts: SlotLogParts
  readonly #end: Deferred<Error | undefined> = deferred<Error | undefined>()
  readonly #queue: Pending[] = []
  #writing: Promise<void> | undefined
  #over: Error | undefined

  private constructor(parts: SlotLogParts, rows: ReadonlyMap<string, Buffer>) {
    this.#parts = parts
    this.rows = rows
    this.ended = this.#end.promise
  }

  /**
   * For a leader that the group knows. Fences earlier leaders first and then reads all that they have written; in this
   * order it cannot miss anything.
   */
  static async open(
    topic: string,
    worker: Pick<WorkerContext, 'clock' | 'reader'>,
    leadership: Leadership,
  ): Promise<SlotLog> {
    const producer = leadership.producer()
    try {
      await raceAbort(producer.init(), leadership.signal)
      const rows = await readRows(topic, worker, leadership.signal)
      return new SlotLog({ topic, worker, leadership, producer }, rows)
    } catch (thrown) {
      await producer.close()
      throw thrown
    }
  }

  /** Resolves once the row is committed. Rows of one key are written in the order of the calls. */
  write(key: string, value: Buffer): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over)
    const pending = { key, value, stored: deferred<void>() }
    this.#queue.push(pending)
    this.#writing ??= this.#writeAll()
    return pending.stored.promise
  }

  /** Waits for the current write. */
  async close(): Promise<void> {
    this.#over ??= new MillraceError('CLOSED', `${this.#parts.topic} was closed.`)
    await this.#writing
    await this.#parts.producer.close()
    this.#end.resolve(undefined)
  }

  async #writeAll(): Promise<void> {
    while (this.#queue.length > 0) {
      const rows = this.#queue.splice(0, MAX_ROWS)
      try {
        await this.#transact(rows)
        for (const { stored } of rows) stored.resolve()
      } catch (thrown) {
        this.#fail(toError(thrown), rows)
      }
    }
    this.#writing = undefined
  }

  async #transact(rows: readonly Pending[]): Promise<void> {
    const { topic, worker, leadership, producer } = this.#parts
    const timestamp = worker.clock.now()
    leadership.check()
    await producer.begin()
    const records = rows.map(({ key, value }) => ({
      topic,
      partition: PARTITION,
      key: Buffer.from(key),
      value,
      headers: NO_HEADERS,
      timestamp,
    }))
    const outcomes = await producer.send(records, { guard: () => leadership.check() })
    for (const outcome of outcomes) if (!outcome.ok) throw outcome.error
    leadership.check()
    await producer.commit()
  }

  #fail(error: Error, rows: readonly Pending[]): void {
    this.#over ??= error
    for (const { stored } of [...rows, ...this.#queue.splice(0)]) stored.reject(error)
    this.#end.resolve(error)
  }
}

async function readRows(
  topic: string,
  worker: Pick<WorkerContext, 'clock' | 'reader'>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Buffer>> {
  const rows = new Map<string, Buffer>()
  const { clock } = worker
  const reader = worker.reader('read-committed')
  for await (const { records } of readToEnd(reader, [{ topic, partition: PARTITION }], { clock, signal }))
    for (const { key, value } of records) {
      if (key === null) continue
      if (value === null) rows.delete(key.toString())
      else rows.set(key.toString(), value)
    }
  return rows
}
