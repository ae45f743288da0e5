import { runtimeOf, type App, type AppRuntime } from '@millrace/app'
import { manualClock, MillraceError, type Logger, type ManualClock } from '@millrace/core'
import { createMemoryLog, createMemoryTransport, type MemoryLog } from '@millrace/transport-embedded'
import { collectLog } from '../lib/collected-log.ts'
import { sentRecords } from '../lib/sent-records.ts'
import { describeInHand, isAtRest } from './at-rest.ts'
import { Gates, type GateOwner } from './gates.ts'
import { InputFeed } from './input-feed.ts'
import { Invariants } from './invariants.ts'
import { MemberNames } from './member-names.ts'
import type { SeededRandom } from './seeded-random.ts'
import { DOUBLING_FAULTS, PLANNED_FAULTS, settledFaults, type PlannedFault } from './settled-faults.ts'
import { SimulatedProcess } from './simulated-process.ts'
import { SimulatedDisk } from './simulated-store.ts'
import type {
  SimulatedApp,
  SimulatedRun,
  SimulatedWorld,
  SimulationFaults,
  SimulationOptions,
} from './simulation-options.ts'
import { Trace } from './trace.ts'

/** A place for a worker: its disk stays when the process goes. */
interface Slot {
  readonly name: string
  disk: SimulatedDisk
  starts: number
  process: SimulatedProcess | undefined
}

/** Nothing that can go on is held longer than this while time passes: well below any time-out. */
const MOST_HELD_MS = 500
/** Longest leap of the clock. */
const MOST_LEAP_MS = 1000
/** Turns of the event loop after which what goes on by itself has gone on. */
const TURNS = 4

/** One run: an app, its workers, its broker, and chance. */
export class Simulation {
  readonly trace: Trace
  readonly happened: Map<string, number> = new Map()
  readonly #options: SimulationOptions
  readonly #random: SeededRandom
  readonly #faults: Required<SimulationFaults>
  readonly #log: MemoryLog = createMemoryLog()
  readonly #clock: ManualClock
  readonly #startMs: number
  readonly #gates: Gates
  readonly #names = new MemberNames()
  readonly #runtime: AppRuntime
  readonly #invariants: Invariants
  readonly #input: InputFeed
  readonly #slots: readonly Slot[]
  readonly #app: App
  /** Made for this run. */
  readonly #isOwn: boolean
  /** Faults that are still to come. */
  #planned: PlannedFault[]
  #healing = false
  #generation = 0

  constructor(app: SimulatedApp, options: SimulationOptions, random: SeededRandom) {
    this.#options = options
    this.#random = random
    this.#faults = settledFaults(options.faults)
    this.#clock = manualClock({ quiesce: () => turns(2) })
    this.#startMs = this.#clock.monotonic()
    this.trace = new Trace(() => this.#passedMs())
    this.#gates = new Gates({
      random,
      nowMs: () => this.#clock.monotonic(),
      habits: {
        holdShare: random.pick([0.15, 0.5, 0.9]) ?? 0.5,
        slowShare: this.#faults.slow,
        slowMs: this.#faults.slowMs,
      },
    })
    const world = this.#world()
    this.#isOwn = typeof app === 'function'
    this.#app = typeof app === 'function' ? app(world) : app
    this.#runtime = runtimeOf(this.#app)
    this.#invariants = new Invariants(this.#log, this.#app.id)
    this.#planned = PLANNED_FAULTS.flatMap((fault) =>
      Array.from({ length: random.between(0, this.#faults[fault]) }, () => fault),
    )
    const outside = createMemoryTransport(this.#log, { clock: this.#clock, log: collectLog() })
    this.#input = new InputFeed(this.#log, outside, options.input(world))
    this.#slots = Array.from({ length: options.workers ?? 3 }, (_, nth) => ({
      name: `w${nth + 1}`,
      disk: new SimulatedDisk(),
      starts: 0,
      process: undefined,
    }))
  }

  get records(): number {
    return this.#input.sent.length
  }

  /** Runs to the end. Rejects with what went wrong. */
  async run(): Promise<void> {
    const { surroundings } = this.#runtime
    const before = { ...surroundings }
    surroundings.clock = this.#clock
    surroundings.log = collectLog()
    surroundings.freeze = true
    surroundings.settings = { ...surroundings.settings, topicPartitions: this.#options.partitions ?? 4 }
    try {
      await this.#storm()
      await this.#heal()
      this.#invariants.tables(this.#processes())
      this.#mustHold()
      await this.#options.check?.(this.#outcome())
      await this.#end()
    } finally {
      this.#gates.passAll()
      for (const process of this.#processes()) if (!process.over) process.kill()
      Object.assign(surroundings, before)
      await turns(TURNS)
      // An app that was made for this run is of no use any more, but its storage would cost something at every promise.
      if (this.#isOwn) this.#runtime.scope.disable()
    }
  }

  /** Input and faults. */
  async #storm(): Promise<void> {
    while (!this.#input.over || this.#planned.length > 0) {
      await this.#step(() => this.#stormyDecision())
    }
  }

  /** No more faults: everything comes to rest. */
  async #heal(): Promise<void> {
    this.trace.add('simulation', 'the faults are over')
    this.#healing = true
    for (const process of this.#processes()) {
      process.thaw()
      if (!process.heartbeats.silent || !process.up) continue
      // No group goes on without a member before its session is over: until then its lease holds.
      if (this.#clock.monotonic() - process.heartbeats.lastMs < this.#sessionMs) process.heartbeats.resume()
      else process.expire()
    }
    const last = this.trace.steps + (this.#options.maxSteps ?? 50_000) / 2
    while (!this.#atRest()) {
      if (this.trace.steps > last)
        throw new MillraceError('NOT_SETTLED', `The workers did not come to rest: ${this.#inHand()}.`)
      await this.#step(() => this.#quietDecision())
    }
  }

  /** Clean stops must leave everything as it is. */
  async #end(): Promise<void> {
    this.#gates.passAll()
    const processes = this.#processes()
    for (const process of processes) process.stop()
    for (let tries = 0; processes.some(({ over }) => !over); tries++) {
      if (tries > 100) throw new MillraceError('NOT_SETTLED', `The workers did not stop: ${this.#inHand()}.`)
      await turns(TURNS)
      await this.#leap(100)
    }
    this.#invariants.look()
    this.#mustHold()
  }

  async #step(decide: () => Promise<void>): Promise<void> {
    this.trace.nextStep()
    if (this.trace.steps > (this.#options.maxSteps ?? 50_000))
      throw new MillraceError('NOT_SETTLED', `The run took more than ${this.trace.steps} steps: ${this.#inHand()}.`)
    await decide()
    // Between two decisions the app goes on by itself, for a shorter or a longer while.
    await turns(this.#healing ? TURNS : this.#random.between(1, TURNS))
    this.#look()
    this.#mustHold()
  }

  async #stormyDecision(): Promise<void> {
    const empty = this.#slots.filter(({ process }) => process === undefined || process.over)
    const roll = this.#random.next()
    if (roll < 0.02 && this.#planned.length > 0) return this.#fault()
    if (empty.length > 0 && (roll < 0.06 || empty.length === this.#slots.length))
      return this.#start(this.#random.pick(empty))
    if (roll < 0.2 && !this.#input.over) return this.#send()
    if (roll < 0.25) return this.#time()
    return this.#openOne()
  }

  async #quietDecision(): Promise<void> {
    const empty = this.#slots.find(({ process }) => process === undefined || process.over)
    if (empty !== undefined) return this.#start(empty)
    if (!this.#input.over) return this.#send()
    return this.#random.chance(0.05) ? this.#time() : this.#openOne()
  }

  async #openOne(): Promise<void> {
    const gate = this.#random.pick(this.#gates.ready())
    if (gate === undefined) return this.#input.over || this.#random.chance(0.5) ? this.#time() : this.#send()
    this.trace.add(gate.owner.name, `> ${gate.what}`)
    this.#gates.open(gate)
  }

  async #send(): Promise<void> {
    const sent = await this.#input.send(this.#clock.now())
    // The first worker has not made the topic yet.
    if (sent === undefined) return this.#time()
    this.trace.add('input', `${sent.topic}-${sent.partition}@${sent.offset}`)
  }

  /** Time passes, unless something has been held for long. */
  async #time(): Promise<void> {
    const nowMs = this.#clock.monotonic()
    const late = this.#gates
      .ready()
      .find(({ heldSinceMs, notBeforeMs }) => nowMs - Math.max(heldSinceMs, notBeforeMs) >= MOST_HELD_MS)
    if (late !== undefined) {
      this.trace.add(late.owner.name, `> ${late.what}, at last`)
      return this.#gates.open(late)
    }
    const slow = this.#gates.shut.flatMap(({ notBeforeMs }) => (notBeforeMs > nowMs ? [notBeforeMs - nowMs] : []))
    const nextMs = Math.min(this.#clock.nextInMs() ?? MOST_LEAP_MS, ...slow, MOST_LEAP_MS)
    const most = this.#gates.ready().length > 0 ? MOST_HELD_MS / 4 : MOST_LEAP_MS
    await this.#leap(Math.min(nextMs, most))
  }

  async #leap(byMs: number): Promise<void> {
    this.trace.add('simulation', `${Math.round(byMs * 1000) / 1000} ms pass`)
    await this.#clock.advance(byMs)
  }

  #start(slot: Slot | undefined): void {
    if (slot === undefined) return
    const keptDisk = slot.starts === 0 || this.#random.chance(0.7)
    if (!keptDisk) slot.disk = new SimulatedDisk()
    slot.starts++
    const process = new SimulatedProcess(`${slot.name}.${slot.starts}`, slot.disk, {
      runtime: this.#runtime,
      log: this.#log,
      clock: this.#clock,
      gates: this.#gates,
      random: this.#random,
      names: this.#names,
      trace: this.trace,
      logger: (name) => this.#logger(name),
      faults: () => (this.#healing ? { duplicates: 0, commitErrors: 0 } : this.#faults),
      happened: (fault) => this.#count(fault),
      committing: (worker, offsets) => this.#invariants.committing(worker, offsets),
      wrapTransport: this.#options.wrapTransport ?? ((transport) => transport),
    })
    slot.process = process
    this.trace.add(process.name, keptDisk ? 'starts' : 'starts on an empty disk')
    void process.start()
  }

  async #fault(): Promise<void> {
    const fault = this.#random.pick(this.#planned)
    const process = this.#random.pick(
      this.#processes().filter((one) => (fault === 'crashes' ? !one.over : one.state === 'running' && !one.frozen)),
    )
    if (fault === undefined || process === undefined) return this.#openOne()
    this.#planned.splice(this.#planned.indexOf(fault), 1)
    this.#count(fault)
    this.trace.add(process.name, `fault: ${fault}`)
    if (fault === 'crashes') process.kill()
    else if (fault === 'stops') process.stop()
    else if (fault === 'rebalances') process.rejoin()
    else this.#silence(process, fault)
  }

  /** Heartbeats do not reach the group; if that lasts for a session, the group goes on without the worker. */
  #silence(process: SimulatedProcess, fault: 'silences' | 'freezes'): void {
    const sessionMs = this.#sessionMs
    if (fault === 'freezes') process.freeze()
    else process.heartbeats.stop()
    const { silences } = process.heartbeats
    const same = (): boolean => !process.over && process.heartbeats.silent && process.heartbeats.silences === silences
    const lastsMs = sessionMs * (0.5 + this.#random.next())
    const heardMs = this.#clock.monotonic() - process.heartbeats.lastMs
    this.#clock.schedule(lastsMs, () => {
      process.thaw()
      if (same() && lastsMs + heardMs < sessionMs) process.heartbeats.resume()
    })
    this.#clock.schedule(sessionMs - heardMs, () => {
      if (same()) process.expire()
    })
  }

  get #sessionMs(): number {
    return this.#runtime.surroundings.settings.sessionTimeoutMs
  }

  #count(fault: string): void {
    this.happened.set(fault, (this.happened.get(fault) ?? 0) + 1)
  }

  /** Notes what has changed in the group, and checks what must hold. */
  #look(): void {
    const { generation, phase } = this.#log.group(this.#app.id)
    if (generation !== this.#generation && phase === 'stable') {
      this.#generation = generation
      this.trace.add('group', `generation ${generation}`)
    }
    this.#invariants.look()
  }

  #mustHold(): void {
    if (this.#invariants.violation !== undefined)
      throw new MillraceError('SIMULATION_FAILED', `${this.#invariants.violation}.`)
    const failed = this.#processes().find(({ state }) => state === 'failed')
    if (failed !== undefined)
      throw new MillraceError(
        'SIMULATION_FAILED',
        `Worker ${failed.name} has failed: ${failed.failure?.message ?? 'no reason'}`,
        { cause: failed.failure },
      )
  }

  #atRest(): boolean {
    const answersLeft = this.#gates.ready().some(({ what }) => what !== 'fetch' && what !== 'read')
    const processes = this.#processes()
    return (
      this.#input.over &&
      !answersLeft &&
      processes.length === this.#slots.length &&
      isAtRest(processes, { log: this.#log, groupId: this.#app.id })
    )
  }

  #inHand(): string {
    return describeInHand(this.#processes(), this.#gates.shut)
  }

  #processes(): readonly SimulatedProcess[] {
    return this.#slots.flatMap(({ process }) => process ?? [])
  }

  #outcome(): SimulatedRun {
    const atLeastOnce = this.#runtime.surroundings.settings.processingGuarantee !== 'exactly-once'
    return {
      seed: this.#options.seed,
      log: this.#log,
      input: this.#input.sent,
      mayDouble: atLeastOnce && DOUBLING_FAULTS.some((fault) => this.happened.has(fault)),
      sent: (topic) => sentRecords(this.#log, topic),
    }
  }

  #world(): SimulatedWorld {
    return {
      seed: this.#options.seed,
      random: () => this.#random.next(),
      fails: (share) => !this.#healing && this.#random.chance(share),
      pause: () => this.#gates.hold(this.#atWork(), 'handler'),
    }
  }

  /** The process that calls. */
  #atWork(): GateOwner {
    const id = this.#runtime.scope.getStore()?.worker?.id
    const process = this.#processes().find(({ name }) => name === id)
    if (process !== undefined) return process
    // What a process had under way that is not there any more: it is dead, and does nothing.
    return { name: id ?? 'outside', dead: id !== undefined, frozen: false }
  }

  #logger(name: string): Logger {
    const note =
      (level: string) =>
      (_fields: object, message: string): void => {
        if (this.#processes().some((process) => process.name === name && process.dead)) return
        this.trace.add(name, `${level}: ${this.#names.clean(message)}`)
      }
    return { debug: () => {}, info: () => {}, warn: note('warn'), error: note('error') }
  }

  #passedMs(): number {
    return this.#clock.monotonic() - this.#startMs
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}
