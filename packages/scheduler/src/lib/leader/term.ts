import { backoffMs, deferred, type Deferred, isMillraceError, MillraceError, raceAbort, toError } from '@millrace/core'
import type { Leadership, WorkerContext } from '@millrace/worker'
import { pausedBy } from '../pauses/pause.ts'
import type { FinishedRun, RunRegistry } from '../runs/run.ts'
import { REBASE_MS } from '../timetables/cron-timetable.ts'
import { decodeJobRecord, encodeJobRecord, type JobRecord } from './job-record.ts'
import { SlotLog } from './slot-log.ts'

const BACKOFF = { firstMs: 100, mostMs: 10_000 }

export interface TermOptions {
  readonly worker: Pick<WorkerContext, 'id' | 'clock' | 'log' | 'reader'>
  /** The compacted topic. */
  readonly topic: string
  readonly leadership: Leadership
  readonly random: () => number
  /** Called when past runs are known and further runs can be claimed, and again each time they had to be read again. */
  readonly onOpened: () => void
}

/**
 * The time in which this worker leads the group. A run that must not be repeated is claimed in the log before it
 * begins; a leader that has been superseded cannot claim.
 */
export class Term implements RunRegistry {
  readonly leadership: Leadership
  readonly #deps: TermOptions
  readonly #records = new Map<string, JobRecord>()
  /** Slots up to this one were handled by other leaders or in earlier terms. */
  readonly #others = new Map<string, number>()
  #opened: Deferred<SlotLog> = deferred<SlotLog>()
  #log: SlotLog | undefined
  #openings = 0
  #resigned = false

  constructor(deps: TermOptions) {
    this.#deps = deps
    this.leadership = deps.leadership
    this.#opened.promise.catch(() => {})
  }

  /** Whether all past runs are known. */
  get isOpen(): boolean {
    return this.#log !== undefined
  }

  /** The record of a job; `undefined` if no leader has run it yet. */
  record(job: string): JobRecord | undefined {
    return this.#records.get(job)
  }

  /** Runs for the whole term: opens the log, and reopens it after a failed write. */
  async run(): Promise<void> {
    const { worker, topic, onOpened } = this.#deps
    const { signal } = this.leadership
    let failures = 0
    while (!this.#isOver()) {
      try {
        // Election takes a join, which is as good as a heartbeat.
        if (failures === 0) this.leadership.check()
        else await this.leadership.confirm()
        const log = await SlotLog.open(topic, worker, this.leadership)
        if (this.#isOver()) {
          await log.close()
          break
        }
        this.#install(log)
        failures = 0
        onOpened()
        const error = await raceAbort(log.ended, signal)
        if (error !== undefined)
          worker.log.warn(
            { topic, error: error.message },
            `What ran could not be written to ${topic}; it is read again.`,
          )
      } catch (thrown) {
        if (isMillraceError(thrown, 'FORMAT_NEWER')) {
          // A later attempt could not read it either.
          await this.#closeLog()
          this.#opened.reject(thrown)
          throw thrown
        }
        if (!this.#isOver())
          worker.log.warn(
            { topic, error: toError(thrown).message },
            `What ran could not be read from ${topic}; this is tried again.`,
          )
      }
      await this.#closeLog()
      if (!this.#isOver()) await this.#pause(++failures)
    }
    this.#opened.reject(this.#overError())
  }

  /** Ends the term voluntarily; what is already written stays. */
  async resign(): Promise<void> {
    this.#resigned = true
    this.#opened.reject(this.#overError())
    await this.#closeLog()
  }

  async claim(job: string, slotMs: number): Promise<boolean> {
    for (;;) {
      const log = await this.#opened.promise
      const record = this.#records.get(job)
      // Runs begun by an earlier leader and not finished, or claimed by a write of this leader that was never
      // acknowledged.
      if (record?.open.includes(slotMs) === true) break
      if (slotMs <= (this.#others.get(job) ?? -Infinity)) return false
      const known = this.#own(record)
      const claimed = {
        ...known,
        upToMs: Math.max(known.upToMs, slotMs),
        open: [...known.open, slotMs],
        runs: known.runs + 1,
      }
      if (await this.#write(log, job, claimed)) break
    }
    await this.#assure()
    return true
  }

  async finish(job: string, { slotMs, cursorMs, last }: FinishedRun): Promise<void> {
    for (;;) {
      const log = await this.#opened.promise
      const known = this.#own(this.#records.get(job))
      const finished = {
        ...known,
        upToMs: Math.max(known.upToMs, cursorMs, slotMs),
        open: known.open.filter((open) => open !== slotMs),
        last: {
          slotMs: last.slot.getTime(),
          startedAtMs: last.startedAt.getTime(),
          durationMs: last.durationMs,
          result: last.result,
        },
      }
      if (await this.#write(log, job, finished)) return
    }
  }

  /** Slots of this job are caught up from now on, even if none has run yet. */
  async note(job: string, upToMs: number): Promise<void> {
    const log = await this.#opened.promise
    const record = this.#records.get(job)
    if (record === undefined) await this.#write(log, job, { ...this.#own(record), upToMs })
  }

  /** The record of a job as this leader writes it. */
  #own(record: JobRecord | undefined): JobRecord {
    const { worker, leadership } = this.#deps
    return { upToMs: 0, open: [], runs: 0, last: undefined, ...record, by: worker.id, life: leadership.groupLife }
  }

  /** False if it failed: the log is then reopened, which shows whether the write counts. */
  async #write(log: SlotLog, job: string, record: JobRecord): Promise<boolean> {
    this.#records.set(job, record)
    try {
      await log.write(job, encodeJobRecord(record))
      return true
    } catch (thrown) {
      if (this.#isOver()) throw this.#overError()
      if (log === this.#log) await this.#closeLog()
      this.#deps.worker.log.debug(
        { job, error: toError(thrown).message },
        'A claim or its end was not written; it is tried again.',
      )
      return false
    }
  }

  /** The worker may have been suspended between the claim and the run, long enough for another one to lead. */
  async #assure(): Promise<void> {
    try {
      this.leadership.check()
    } catch (thrown) {
      if (!isMillraceError(thrown, 'LEASE_EXPIRED')) throw thrown
      await this.leadership.confirm()
    }
  }

  #install(log: SlotLog): void {
    this.#log = log
    const { worker, topic } = this.#deps
    const nowMs = worker.clock.now()
    const isFirst = this.#openings++ === 0
    this.#records.clear()
    for (const [job, bytes] of log.rows) {
      // Rows about pauses are stored among those of the jobs.
      if (pausedBy(job) !== undefined) continue
      const read = decodeJobRecord(bytes, job)
      if (read === undefined) {
        worker.log.warn(
          { topic, job },
          `The record of job "${job}" in ${topic} cannot be read; the job is treated as new.`,
        )
        continue
      }
      // Written under a wrong clock: the job must not wait until that time.
      const record = read.upToMs > nowMs + REBASE_MS ? { ...read, upToMs: nowMs } : read
      this.#records.set(job, record)
      if (isFirst || record.by !== worker.id) this.#others.set(job, record.upToMs)
    }
    this.#opened.resolve(log)
  }

  async #closeLog(): Promise<void> {
    const log = this.#log
    if (log === undefined) return
    this.#log = undefined
    if (!this.#isOver()) {
      this.#opened = deferred<SlotLog>()
      this.#opened.promise.catch(() => {})
    }
    await log.close()
  }

  async #pause(failures: number): Promise<void> {
    const { worker, random } = this.#deps
    // The lead may end in the meanwhile; the loop checks that.
    await worker.clock.sleep(backoffMs(failures, BACKOFF, random()), this.leadership.signal).catch(() => {})
  }

  #isOver(): boolean {
    return this.#resigned || this.leadership.signal.aborted
  }

  #overError(): Error {
    return this.leadership.signal.aborted
      ? toError(this.leadership.signal.reason)
      : new MillraceError('CLOSED', 'This worker does not lead any more.')
  }
}
