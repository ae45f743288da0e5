import { manualClock, parseDuration, type Duration, type ManualClock } from '@millrace/core'
import { runtimeOf, type App, type AppRuntime, type Surroundings } from '@millrace/app'
import { memoryStore } from '@millrace/tables'
import { createMemoryLog, createMemoryTransport, type MemoryLog, type MemoryTransport } from '@millrace/transport-embedded'
import type { Worker } from '@millrace/worker'
import { collectLog, type CollectedLog } from './collected-log.ts'
import { asRecord, type Sendable, type SendableTopic } from './sendable.ts'
import { sentRecords, type ReadableTopic, type SentRecord } from './sent-records.ts'
import { settle } from './settle.ts'
import { testClock, type TestClock } from './test-clock.ts'

/** How `testApp` sets the stage. */
export interface TestAppOptions {
  /** Wall time at the start. Default: 2026-01-01, midnight UTC. */
  readonly now?: Date
  /** Partition count of topics that do not say another. Default: the app's setting. */
  readonly partitions?: number
}

/** A worker of an app under test. */
export interface TestWorker {
  readonly worker: Worker
  /** Drains, commits, leaves. */
  stop(): Promise<void>
  /** Ends it as kill -9 would: nothing is committed, its partitions go to the others. */
  kill(): Promise<void>
}

/** A whole app in this process, on an in-memory log, under a clock that stands still. Made by `testApp`. */
export class TestApp {
  /** What is on the broker. */
  readonly log: MemoryLog
  /** `now()`, `advance(duration)` fires timers in order and lets the app come to rest between them, `set(date)` moves the wall clock only. */
  readonly clock: ManualClock
  /** What the app logged. */
  readonly logged: CollectedLog
  readonly #runtime: AppRuntime
  readonly #before: Surroundings
  readonly #timers: TestClock
  readonly #running: Set<Worker> = new Set()
  #started = 0

  constructor(app: App, { now, partitions }: TestAppOptions) {
    this.#runtime = runtimeOf(app)
    this.#before = { ...this.#runtime.surroundings }
    this.log = createMemoryLog()
    this.logged = collectLog()
    this.clock = manualClock({ ...(now === undefined ? {} : { now }), quiesce: () => this.settle() })
    this.#timers = testClock(this.clock, this.#runtime.scope)
    const { surroundings } = this.#runtime
    surroundings.clock = this.#timers
    surroundings.log = this.logged
    surroundings.freeze = true
    surroundings.settings = { ...surroundings.settings, topicPartitions: partitions ?? surroundings.settings.topicPartitions }
  }

  /** Starts one more worker of the app on the same log; resolves when it has joined, recovered, and all have come to rest. */
  async worker(): Promise<TestWorker> {
    const transport = createMemoryTransport(this.log, { clock: this.#timers, log: this.logged })
    const worker = await this.#runtime.launch({ workerId: `worker-${++this.#started}`, drivers: { transport, store: memoryStore() } })
    this.#running.add(worker)
    await worker.start()
    await this.settle()
    return {
      worker,
      stop: async () => {
        this.#running.delete(worker)
        await worker.stop()
        await this.settle()
      },
      kill: () => this.#kill(worker, transport),
    }
  }

  async #kill(worker: Worker, transport: MemoryTransport): Promise<void> {
    this.#running.delete(worker)
    transport.kill()
    await worker.stop({ hard: true })
    await this.settle()
  }

  /** Sends a value, or a record with key, headers, timestamp or partition. Resolves when the log has it. */
  async send<K, V>(topic: SendableTopic<K, V>, what: Sendable<K, V>): Promise<void> {
    await topic.send(asRecord(what))
  }

  /** The records of a topic, decoded, partition by partition. */
  sent<K, V>(topic: ReadableTopic<K, V>): SentRecord<K, V>[] {
    return sentRecords(this.log, topic)
  }

  /**
   * Runs until nothing is pending but what waits for the clock.
   *
   * @throws `NOT_SETTLED` after 5 s of real time, naming what is in hand; the error that ended a worker
   */
  async settle(): Promise<void> {
    const begun = performance.now()
    await settle({
      log: this.log,
      workers: [...this.#running],
      agentTimers: () => this.#timers.agentTimers(),
      elapsedMs: () => performance.now() - begun,
    })
  }

  /** Lets time pass, as `clock.advance`. */
  async advance(duration: Duration): Promise<void> {
    await this.clock.advance(parseDuration(duration, 'advance'))
  }

  /** Stops all workers, and gives the app its own clock and log back. */
  async close(): Promise<void> {
    try {
      await Promise.all([...this.#running].map((worker) => worker.stop()))
    } finally {
      this.#running.clear()
      Object.assign(this.#runtime.surroundings, this.#before)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/**
 * Runs an app with one worker: in-memory log, manual clock, no ports. The app itself is unchanged; its broker setting
 * is not used.
 *
 * @example
 * const t = await testApp(app)
 * await t.send(posts, 'a b a')
 * await t.settle()
 * expect(counts.get('a')).toBe(2)
 * await t.close()
 */
export async function testApp(app: App, options: TestAppOptions = {}): Promise<TestApp> {
  const test = new TestApp(app, options)
  try {
    await test.worker()
    return test
  } catch (error) {
    await test.close()
    throw error
  }
}
