import { type Duration, manualClock, type ManualClock, MillraceError, parseDuration, systemClock } from '@millrace/core'
import type { DeadLetters } from '@millrace/core/operations'
import {
  type App,
  type AppRuntime,
  AppScheduler,
  type RunningWorker,
  runtimeOf,
  type Surroundings,
} from '@millrace/app'
import { memoryStore } from '@millrace/tables'
import {
  createMemoryLog,
  createMemoryTransport,
  type MemoryLog,
  type MemoryTransport,
} from '@millrace/transport-embedded'
import type { Worker } from '@millrace/worker'
import { collectLog, type CollectedLog } from './collected-log.ts'
import { withTransport, writeRaw, type RawSend } from './raw-send.ts'
import { asRecord, type Sendable, type SendableTopic } from './sendable.ts'
import {
  plantSeeds,
  putRows,
  seed,
  seedingTransport,
  writeRows,
  type KeptTable,
  type Seed,
  type SeedableTable,
} from './seeds.ts'
import { sentRecords, type ReadableTopic, type SentRecord } from './sent-records.ts'
import { settle, type Settling, stopAll } from './settle.ts'
import { testClock, type TestClock } from './test-clock.ts'

/** Options of `testApp`. */
export interface TestAppOptions {
  /** Wall time at the start. Default: 2026-01-01, midnight UTC. */
  readonly now?: Date | undefined
  /** Partition count of topics without their own. Default: the app's setting. */
  readonly partitions?: number | undefined
  /** Topics that exist already. */
  readonly topics?: readonly { readonly name: string; readonly partitions: number }[]
  /** Rows of tables before anything runs, each made by `seed(table, entries)`. */
  readonly seeds?: readonly Seed[]
}

/** A worker of an app under test. */
export interface TestWorker {
  readonly worker: Worker
  /** Drains, commits and leaves. */
  stop(): Promise<void>
  /** Ends it as kill -9 would: nothing is committed, and its partitions move to the others. */
  kill(): Promise<void>
}

/** A whole app in this process, on an in-memory log, under a clock that is moved by hand. Made by `testApp`. */
export class TestApp {
  /** The contents of the broker. */
  readonly log: MemoryLog
  /**
   * `now()`, `advance(duration)` fires timers in order and settles the app between them, `set(date)` moves only the
   * wall clock.
   */
  readonly clock: ManualClock
  /** The app's log. */
  readonly logged: CollectedLog
  /** Events that agents have given up: `app.deadLetters`, as in `millrace dlq`. */
  readonly deadLetters: DeadLetters
  readonly #runtime: AppRuntime
  readonly #before: Surroundings
  readonly #timers: TestClock
  readonly #running: Map<Worker, TestWorker> = new Map()
  /** Seeds that are not written yet, because their topics do not exist. */
  #seeds: readonly Seed[]
  #started = 0

  constructor(app: App, { now, partitions, seeds = [] }: TestAppOptions) {
    this.#seeds = seeds
    this.#runtime = runtimeOf(app)
    this.#before = { ...this.#runtime.surroundings }
    this.log = createMemoryLog()
    this.logged = collectLog()
    this.deadLetters = app.deadLetters
    this.clock = manualClock({ ...(now === undefined ? {} : { now }), quiesce: () => this.settle() })
    this.#timers = testClock(this.clock, this.#runtime.contexts)
    const { surroundings } = this.#runtime
    surroundings.clock = this.#timers
    surroundings.log = this.logged
    surroundings.freeze = true
    surroundings.openTransport = () => this.#transport()
    surroundings.settings = {
      ...surroundings.settings,
      schemaRegistry: 'memory:',
      topicPartitions: partitions ?? surroundings.settings.topicPartitions,
    }
  }

  /**
   * Starts another worker of the app on the same log; resolves when it has joined and recovered, and the app has
   * settled.
   */
  async worker(): Promise<TestWorker> {
    const transport = this.#transport()
    const running = await this.#runtime.launch({
      workerId: `worker-${++this.#started}`,
      drivers: { transport: seedingTransport(transport, () => this.#plantSeeds()), store: memoryStore() },
    })
    const { worker } = running
    const handle: TestWorker = {
      worker,
      stop: async () => {
        this.#running.delete(worker)
        await worker.stop()
        await this.settle()
      },
      kill: () => this.#kill(running, transport),
    }
    this.#running.set(worker, handle)
    await worker.start()
    const [left] = this.#seeds
    if (left !== undefined)
      throw new MillraceError(
        'TOPIC_MISSING',
        `The app has no topic "${left.topic}" to seed: its table is another app's.`,
      )
    await this.settle()
    return handle
  }

  async #plantSeeds(): Promise<void> {
    if (this.#seeds.length === 0) return
    const { settings } = this.#runtime.surroundings
    const ground = { log: this.log, settings, now: this.clock.now() }
    await withTransport(this.#transport(), async (transport) => {
      this.#seeds = await plantSeeds(this.#seeds, { ...ground, transport })
    })
  }

  /**
   * Gives a table rows, as if its changelog had them: no agent has to write them. They are readable when this resolves,
   * and are in the changelog with the next commit. For rows before the app starts use `testApp(app, { seeds })`.
   *
   * @throws `ENCODE_FAILED`, `SCHEMA_MISMATCH` for a row that the table would refuse; `PARTITION_NOT_LOCAL`, `TOPIC_MISSING`
   * @example
   * await t.seed(counts, [['milk', 2]])
   */
  async seed<K, V>(
    table: SeedableTable<K, V> & KeptTable,
    entries: Iterable<readonly [key: NoInfer<K>, value: NoInfer<V>]>,
  ): Promise<void> {
    const made = seed(table, entries)
    const partitions = this.log.topics().find(({ name }) => name === made.topic)?.partitions
    if (partitions === undefined)
      throw new MillraceError(
        'TOPIC_MISSING',
        `There is no topic "${made.topic}": table "${table.name}" is another app's.`,
      )
    if (!putRows(table, made, partitions))
      await withTransport(this.#transport(), (transport) => writeRows(made, transport, this.clock.now()))
    await this.settle()
  }

  /** The running workers, in the order started. */
  get all(): readonly TestWorker[] {
    return [...this.#running.values()]
  }

  /** Runs `work` as a page or timer of one worker would: it reads the tables of that worker. */
  within<T>({ worker }: Pick<TestWorker, 'worker'>, work: () => T): T {
    const { context } = worker
    return this.#runtime.contexts.run({ client: context, worker: context, event: undefined, agent: undefined }, work)
  }

  async #kill(running: RunningWorker, transport: MemoryTransport): Promise<void> {
    const { worker } = running
    this.#running.delete(worker)
    transport.kill()
    // The worker stops working, but the stop never ends, because the results it waits for never come.
    void worker.stop({ hard: true })
    this.#runtime.forget(running)
    await this.settle()
  }

  /** Sends a value, or a record with key, headers, timestamp or partition. Resolves when the log has it. */
  async send<K, V>(topic: SendableTopic<K, V>, what: NoInfer<Sendable<K, V>>): Promise<void> {
    await topic.send(asRecord(what))
  }

  /** Sends a request to the site, like a client on the machine of the first worker: a path, or a whole request. */
  async fetch(path: string, init?: RequestInit): Promise<Response> {
    return this.#runtime.site.fetch(new Request(new URL(path, 'http://localhost/'), init), '127.0.0.1')
  }

  /** A job by name: runs it now, whatever its timetable, on the first worker or on the one that leads. */
  job(name: string): { trigger(): Promise<void> } {
    const scheduler = new AppScheduler(() => this.#runtime.running.map((running) => running.scheduler))
    return {
      trigger: async () => {
        await scheduler.trigger(name)
      },
    }
  }

  /** Writes bytes or text to a topic without the app, like another program. */
  async write(topic: string, record: RawSend): Promise<void> {
    const now = this.clock.now()
    await withTransport(this.#transport(), (transport) => writeRaw(topic, record, { transport, now }))
  }

  /** Creates topics before the app does. */
  async createTopics(topics: readonly { readonly name: string; readonly partitions: number }[]): Promise<void> {
    await withTransport(this.#transport(), (transport) =>
      transport.admin().createTopics(topics.map((topic) => ({ ...topic, replicationFactor: -1, config: {} }))),
    )
  }

  #transport(): MemoryTransport {
    return createMemoryTransport(this.log, { clock: this.#timers, log: this.logged })
  }

  /** The records of a topic, decoded, partition by partition. */
  sent<K, V>(topic: ReadableTopic<K, V>): SentRecord<K, V>[] {
    return sentRecords(this.log, topic)
  }

  /**
   * Runs until only work that waits for the clock is left.
   *
   * @throws `NOT_SETTLED` after 5 s of real time, naming what is in flight; the error that ended a worker
   */
  async settle(): Promise<void> {
    await settle(this.#settling())
  }

  #settling(): Settling {
    const real = systemClock()
    const beganMs = real.monotonic()
    return {
      log: this.log,
      workers: [...this.#running.keys()],
      timers: this.#timers,
      elapsedMs: () => real.monotonic() - beganMs,
    }
  }

  /** Lets time pass, as `clock.advance`. */
  async advance(duration: Duration): Promise<void> {
    await this.clock.advance(parseDuration(duration, 'advance'))
  }

  /** Stops all workers, and restores the app's own clock and log. */
  async close(): Promise<void> {
    try {
      await stopAll(this.#settling())
    } finally {
      await this.#runtime.client.close()
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
    await test.createTopics(options.topics ?? [])
    await test.worker()
    return test
  } catch (error) {
    await test.close()
    throw error
  }
}
