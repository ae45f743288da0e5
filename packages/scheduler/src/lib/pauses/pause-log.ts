import {
  backoffMs,
  deferred,
  type Deferred,
  isMillraceError,
  MillraceError,
  NO_HEADERS,
  raceAbort,
  toError,
  withTimeout,
} from '@millrace/core'
import type { WorkerContext } from '@millrace/worker'
import {
  decodePause,
  describePausable,
  encodePause,
  nextPause,
  type Pausable,
  type Pause,
  pausedBy,
  pauseKey,
  type PauseNote,
} from './pause.ts'

const PARTITION = 0
const BACKOFF = { firstMs: 100, mostMs: 10_000 }
/** A worker normally reads its own write back within milliseconds. */
const OWN_WRITE_MS = 5_000

export interface PauseLogOptions {
  readonly worker: Pick<WorkerContext, 'id' | 'clock' | 'log' | 'reader' | 'send' | 'signal' | 'fail'>
  /** The compacted topic. */
  readonly topic: string
  readonly random: () => number
  /** A job or an agent is paused or resumed. Called for every row, in the order of writing. */
  readonly onChange: (what: Pausable, pause: Pause) => void
}

/**
 * The paused jobs and agents of the app, the same for every worker: any worker may write, and all read, beginning before they run
 * anything. The last write wins, across restarts and changes of leader.
 */
export class PauseLog {
  readonly #deps: PauseLogOptions
  readonly #pauses = new Map<string, Pause>()
  readonly #closing = new AbortController()
  /** Everything written before the log was opened is known. */
  readonly #opened: Deferred<void> = deferred<void>()
  /** Next offset to read. */
  #position = 0
  #waiting: { readonly offset: number; readonly reached: () => void }[] = []
  #following: Promise<void> | undefined

  constructor(deps: PauseLogOptions) {
    this.#deps = deps
  }

  /** Reads the log, and keeps reading until `close`. Resolves once everything written before the call is known. */
  async open(): Promise<void> {
    const signal = AbortSignal.any([this.#deps.worker.signal, this.#closing.signal])
    this.#following = this.#follow(signal)
    await raceAbort(this.#opened.promise, signal)
  }

  /** Resolves once it is written and read back here. */
  async set(what: Pausable, isPaused: boolean, note: PauseNote = {}): Promise<void> {
    const { worker, topic } = this.#deps
    const timestamp = worker.clock.now()
    const key = pauseKey(what)
    const pause = nextPause(this.#pauses.get(key), isPaused, timestamp, note)
    const { offset } = await worker.send({
      topic,
      partition: PARTITION,
      key: Buffer.from(key),
      value: encodePause(pause),
      headers: NO_HEADERS,
      timestamp,
    })
    await withTimeout(this.#reach(offset + 1), OWN_WRITE_MS, worker.clock, () => {
      const how = isPaused ? 'paused' : 'to go on'
      return new MillraceError(
        'TIMEOUT',
        `The ${describePausable(what)} is ${how}, as ${topic} says, but this worker has not read it for ${OWN_WRITE_MS} ms.`,
      )
    })
  }

  async close(): Promise<void> {
    this.#closing.abort(new MillraceError('CLOSED', 'The worker stops.'))
    await this.#following
  }

  /** Never rejects: a failed reader is replaced. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { worker, topic } = this.#deps
    let failures = 0
    while (!signal.aborted) {
      try {
        await this.#read(signal, () => void (failures = 0))
        if (!signal.aborted) throw new MillraceError('CLOSED', 'The reader ended.')
      } catch (thrown) {
        if (signal.aborted) return
        // A later attempt could not read it either.
        if (isMillraceError(thrown, 'FORMAT_NEWER')) return worker.fail(thrown)
        worker.log.warn(
          { topic, error: toError(thrown).message },
          `Which jobs and agents are paused could not be read from ${topic}; this is tried again.`,
        )
        await worker.clock.sleep(backoffMs(++failures, BACKOFF, this.#deps.random()), signal).catch(whenAborted)
      }
    }
  }

  /**
   * Reads until the signal aborts. Pauses are plain records among the leaders' transactions, which are skipped even
   * before they end.
   */
  async #read(signal: AbortSignal, onBatch: () => void): Promise<void> {
    const { worker, topic } = this.#deps
    const reader = worker.reader('read-uncommitted')
    const close = (): void => void reader.close()
    signal.addEventListener('abort', close, { once: true })
    try {
      signal.throwIfAborted()
      const [offsets] = await reader.offsets([{ topic, partition: PARTITION }])
      const { beginning = 0, end = 0 } = offsets ?? {}
      // The offset is beyond the end: the topic was created anew.
      const from = this.#position > end ? beginning : Math.max(this.#position, beginning)
      this.#reached(from)
      void this.#reach(end).then(() => this.#opened.resolve())
      reader.assign({ topic, partition: PARTITION }, from)
      for await (const batch of reader.batches()) {
        onBatch()
        for (const { key, value } of batch.records) this.#take(key, value)
        this.#reached(batch.nextOffset)
      }
    } finally {
      signal.removeEventListener('abort', close)
      await reader.close()
    }
  }

  #take(bytes: Buffer | null, value: Buffer | null): void {
    const key = bytes?.toString() ?? ''
    const what = pausedBy(key)
    const pause = value === null || what === undefined ? undefined : decodePause(value, what)
    if (what === undefined || pause === undefined) return
    this.#pauses.set(key, pause)
    this.#deps.onChange(what, pause)
  }

  #reached(position: number): void {
    this.#position = position
    const reached = this.#waiting.filter(({ offset }) => offset <= position)
    if (reached.length === 0) return
    this.#waiting = this.#waiting.filter(({ offset }) => offset > position)
    for (const one of reached) one.reached()
  }

  #reach(offset: number): Promise<void> {
    if (this.#position >= offset) return Promise.resolve()
    return new Promise((reached) => void this.#waiting.push({ offset, reached }))
  }
}

/** The loop checks the signal. */
function whenAborted(): void {}
