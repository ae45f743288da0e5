import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AppSettings } from '@millrace/app'
import { eventually } from '@millrace/conformance'
import { NO_HEADERS, partitionsOf, systemClock } from '@millrace/core'
import { partitionForKey, type Producer, type Transport } from '@millrace/core/driver'
import { bundled } from '@millrace/programs-for-tests'
import { type LoggedRecord, recordsOf, WorkerProcess } from '@millrace/verifier'
import type { TallyPlan } from './tally-app.ts'
import { type FireVerdict, verdictOf } from './verdict.ts'

const clock = systemClock()
const mainFile = fileURLToPath(await bundled(new URL('./worker-main.ts', import.meta.url)))
const KEYS = 64
/** Each step is a send, and what is fetched, sent on and committed in it: requests cost more than records. */
const LOAD_STEP_MS = 250
/** Each look is a request. */
const LOOK_MS = 100
const DONE_LIMIT_MS = 60_000

export interface FireRunOptions {
  /** Default: a new one. */
  readonly id?: string
  /** Of a run that is there already, with how many numbers were sent in it. Default: a new one. */
  readonly continues?: { readonly id: string; readonly sent: number }
  /** Looks at the broker from outside the app, and sends. */
  readonly outside: Transport
  /** host:port[,host:port], for the workers. */
  readonly brokers: string
  /** Default 4. */
  readonly partitions?: number
  readonly settings?: Omit<AppSettings, 'id'>
  readonly plan?: Pick<TallyPlan, 'paddingBytes' | 'slow' | 'poison'>
}

/** One app under fire: its topics, its workers, a load of numbered records, and the verdict. Runs on one broker are kept apart by id. */
export class FireRun {
  readonly id: string
  readonly numbers: string
  readonly copies: string
  readonly changelog: string
  readonly partitions: number
  readonly workers: WorkerProcess[] = []
  readonly #options: FireRunOptions
  readonly #producer: Producer
  #sent: number
  #started = 0

  constructor(options: FireRunOptions) {
    this.id = options.continues?.id ?? options.id ?? `fire-${randomBytes(4).toString('hex')}`
    this.#sent = options.continues?.sent ?? 0
    this.numbers = `${this.id}-numbers`
    this.copies = `${this.id}-copies`
    this.changelog = `${this.id}-counts-changelog`
    this.partitions = options.partitions ?? 4
    this.#options = options
    this.#producer = options.outside.producer()
  }

  /** Numbers sent so far. */
  get sent(): number {
    return this.#sent
  }

  async createTopics(): Promise<void> {
    const { outside, plan } = this.#options
    const names = [this.numbers, this.copies, ...(plan?.slow === undefined ? [] : [plan.slow.topic])]
    const { partitions } = this
    await outside.admin().createTopics(names.map((name) => ({ name, partitions, replicationFactor: -1, config: {} })))
  }

  /** Starts a worker process, of another build of `worker-main.ts` if `program` is its file; await its `ready`. */
  start(settings: Omit<AppSettings, 'id'> = {}, program: string = mainFile): WorkerProcess {
    const plan: TallyPlan = {
      settings: {
        broker: `kafka://${this.#options.brokers}`,
        web: { enabled: false },
        sessionTimeout: '3s',
        heartbeatInterval: '500ms',
        commitInterval: '500ms',
        kafka: { maxFetchWait: '250ms' },
        topicPartitions: this.partitions,
        ...this.#options.settings,
        ...settings,
        id: this.id,
      },
      numbers: this.numbers,
      copies: this.copies,
      worker: `w${++this.#started}`,
      ...this.#options.plan,
    }
    const name = plan.worker
    const logs = process.env['MILLRACE_FIRE_LOGS']
    const logFile = logs === undefined ? undefined : join(logs, `${this.id}-${name}.log`)
    const worker = new WorkerProcess({ name, program, plan, logFile })
    this.workers.push(worker)
    return worker
  }

  async startReady(count: number): Promise<readonly WorkerProcess[]> {
    const started = Array.from({ length: count }, () => this.start())
    await Promise.all(started.map((worker) => worker.ready()))
    return started
  }

  /** Sends the next `count` numbers; resolves when the broker has them all. */
  async send(count: number): Promise<void> {
    const records = Array.from({ length: count }, () => {
      const number = this.#sent++
      const key = Buffer.from(`k${number % KEYS}`)
      return {
        topic: this.numbers,
        partition: partitionForKey(key, this.partitions),
        key,
        value: Buffer.from(String(number)),
        headers: NO_HEADERS,
        timestamp: clock.now(),
      }
    })
    const outcomes = await this.#producer.send(records, { guard: () => {} })
    const refused = outcomes.find(({ ok }) => !ok)
    if (refused !== undefined && !refused.ok) throw refused.error
  }

  /** Sends steadily until the function given back is called; that resolves when all are on the broker. */
  load(perSecond: number): () => Promise<void> {
    let ended = false
    const sending = (async (): Promise<void> => {
      const startMs = clock.monotonic()
      let sent = 0
      while (!ended) {
        // By the time that has passed: a broker that was gone for a while is sent what it has missed.
        const due = Math.min(Math.floor(((clock.monotonic() - startMs) * perSecond) / 1000) - sent, perSecond)
        if (due > 0) await this.send(due)
        sent += Math.max(due, 0)
        await clock.sleep(LOAD_STEP_MS)
      }
    })()
    // Told when it is ended.
    sending.catch(() => undefined)
    return async () => {
      ended = true
      await sending
    }
  }

  /** How many of the records sent are committed. */
  async committed(): Promise<number> {
    const offsets = await this.#options.outside.admin().committed(this.id, this.#sources())
    return offsets.reduce((sum, { offset }) => sum + offset, 0)
  }

  async untilCommitted(count: number, limitMs: number = DONE_LIMIT_MS): Promise<void> {
    await eventually(
      async () => {
        this.#mustLive()
        await clock.sleep(LOOK_MS)
        return (await this.committed()) >= count
      },
      { what: `${count} numbers to be committed`, limitMs },
    )
  }

  /** Everything that is in the source topic has been handled and committed. */
  async untilDone(limitMs: number = DONE_LIMIT_MS): Promise<void> {
    const admin = this.#options.outside.admin()
    const ends = await admin.offsets(this.#sources(), 'read-committed')
    await this.untilCommitted(
      ends.reduce((sum, { end }) => sum + end, 0),
      limitMs,
    )
  }

  /** Stops all workers cleanly. */
  async stopAll(): Promise<readonly (number | null)[]> {
    return Promise.all(this.workers.filter((worker) => worker.alive).map((worker) => worker.stop()))
  }

  /** All committed records of one of its topics. */
  read(topic: string): Promise<readonly LoggedRecord[]> {
    return recordsOf(this.#options.outside, { name: topic, partitions: this.partitions })
  }

  async verdict(): Promise<FireVerdict> {
    const topics = [this.numbers, this.copies, this.changelog] as const
    const [numbers = [], copies = [], changelog = []] = await Promise.all(topics.map((topic) => this.read(topic)))
    return verdictOf({ numbers, copies, changelog })
  }

  /** Ends what still runs, and takes the topics away. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.kill()))
    await this.#producer.close()
  }

  #sources(): readonly { readonly topic: string; readonly partition: number }[] {
    return partitionsOf(this.numbers, this.partitions)
  }

  #mustLive(): void {
    const failed = this.workers.find(({ failure }) => failure !== undefined)
    if (failed !== undefined)
      throw new Error(`Worker ${failed.name} failed: ${failed.failure?.message}\n${failed.output}`)
  }
}

/** Opens a run with its topics made. */
export async function fireRun(options: FireRunOptions): Promise<FireRun> {
  const run = new FireRun(options)
  if (options.continues === undefined) await run.createTopics()
  return run
}
