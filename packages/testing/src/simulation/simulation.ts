import { manualClock, type ManualClock, MillraceError } from '@millrace/core'
import {
  createMemoryLog,
  createMemoryTransport,
  type MemoryLog,
  type MemoryTransport,
} from '@millrace/transport-embedded'
import { collectLog } from '../lib/collected-log.ts'
import { sentRecords } from '../lib/sent-records.ts'
import { describeInHand, isAtRest } from './at-rest.ts'
import { Decisions } from './decisions.ts'
import { Faults } from './faults.ts'
import { Gates, type GateOwner } from './gates.ts'
import { InputCuts } from './input-cuts.ts'
import { InputFeed } from './input-feed.ts'
import { Intruders } from './intruders.ts'
import { Invariants } from './invariants.ts'
import { MemberNames } from './member-names.ts'
import { PassingTime } from './passing-time.ts'
import { Releases } from './releases.ts'
import { SeededRandom } from './seeded-random.ts'
import { settledFaults } from './settled-faults.ts'
import { StuckPartitions } from './stuck-partitions.ts'
import type { SimulatedApp, SimulatedRun, SimulatedWorld, SimulationOptions } from './simulation-options.ts'
import { Trace } from './trace.ts'
import { turns } from './turns.ts'
import { WorkerSlots } from './worker-slots.ts'

/** How many turns of the event loop let work finish that waits for nothing else. */
const TURNS = 4
/** After this many decisions a run counts as endless. */
const MAX_STEPS = 50_000

/** One run: an app, its workers, its broker, and chance. */
export class Simulation {
  readonly trace: Trace
  readonly #options: SimulationOptions
  readonly #random: SeededRandom
  readonly #maxSteps: number
  readonly #log: MemoryLog = createMemoryLog()
  readonly #gates: Gates
  readonly #releases: Releases
  readonly #groupId: string
  readonly #cuts: InputCuts
  readonly #intruders: Intruders
  readonly #stuck: StuckPartitions
  readonly #nowMs: () => number
  readonly #invariants: Invariants
  readonly #faults: Faults
  readonly #input: InputFeed
  readonly #slots: WorkerSlots
  readonly #time: PassingTime
  readonly #decisions: Decisions
  readonly #clock: ManualClock
  #generation = 0
  #settledMs = 0

  /** The order in which random numbers are used is part of a seed: another order here changes the runs of all seeds. */
  constructor(app: SimulatedApp, options: SimulationOptions, random: SeededRandom) {
    this.#options = options
    this.#random = random
    this.#maxSteps = options.maxSteps ?? MAX_STEPS
    const log = this.#log
    const clock = manualClock({ quiesce: () => turns(2) })
    this.#clock = clock
    const startMs = clock.monotonic()
    this.#nowMs = () => clock.monotonic()
    const trace = new Trace(() => clock.monotonic() - startMs)
    this.trace = trace
    const most = settledFaults(options.faults)
    const gates = new Gates({
      random,
      nowMs: () => clock.monotonic(),
      habits: { holdShare: random.pick([0.15, 0.5, 0.9]) ?? 0.5, slowShare: most.slow, slowMs: most.slowMs },
    })
    this.#gates = gates
    const releases = new Releases({
      app,
      most: options.releases ?? 1,
      clock,
      partitions: options.partitions ?? 4,
      world: (release) => this.#world(release),
    })
    this.#releases = releases
    const { id } = releases.first.app
    this.#groupId = id
    this.#invariants = new Invariants(log, id, options.watch?.())
    this.#cuts = new InputCuts(log, id)
    const transport = (): MemoryTransport => createMemoryTransport(log, { clock, log: collectLog() })
    this.#input = new InputFeed(log, transport(), options.input(this.#world(1)))
    this.#intruders = new Intruders({
      groupId: id,
      clock,
      random,
      transport,
      assignor: () => this.#slots.processes.find(({ assignor }) => assignor !== undefined)?.assignor,
      onGiven: (partitions, data) => this.#invariants.given(partitions, data),
    })
    const { settings } = releases.first.runtime.surroundings
    const exactlyOnce = settings.processingGuarantee === 'exactly-once'
    const stuck = new StuckPartitions(log, clock, random)
    this.#stuck = stuck
    const faults = new Faults({
      most: {
        ...most,
        cuts: settings.onOffsetLost === 'earliest' ? most.cuts : 0,
        delays: exactlyOnce ? most.delays : 0,
      },
      random,
      clock,
      trace,
      gates,
      releases,
      processes: () => this.#slots.processes,
      cut: () => this.#cuts.cut(this.#input, random),
      stick: () => stuck.stick(this.#input.topics),
      unstick: () => stuck.end(),
      grow: () => this.#grow(),
      intrude: () => this.#intruders.join(this.#input.topics),
    })
    this.#faults = faults
    this.#slots = new WorkerSlots(options.workers ?? 3, {
      log,
      clock,
      gates,
      random,
      // Of its own, so that the other decisions of a seed stay what they were.
      ofSends: new SeededRandom(options.seed ^ 0x7f4a7c15),
      names: new MemberNames(),
      trace,
      newest: () => releases.newest,
      statics: random.chance(most.statics),
      faults: () => faults.ofRequests(),
      happened: (fault) => faults.count(fault),
      healed: (partition) => stuck.healed(partition),
      assigned: (worker, before, change) => this.#invariants.assigned(worker, before, change),
      committing: (worker, offsets) => this.#invariants.committing(worker, offsets),
      sending: (worker) => this.#invariants.sending(worker),
      initialising: (worker, id) => this.#invariants.initialising(worker, id),
      wrapTransport: options.wrapTransport ?? ((inner) => inner),
      wrapStore: options.wrapStore ?? ((inner) => inner),
    })
    this.#time = new PassingTime(clock, gates, trace)
    this.#decisions = new Decisions({
      random,
      clock,
      trace,
      gates,
      time: this.#time,
      input: this.#input,
      slots: this.#slots,
      faults,
    })
  }

  /** Records sent in. */
  get records(): number {
    return this.#input.sent.length
  }

  /** Faults that happened, by kind. */
  get happened(): ReadonlyMap<string, number> {
    return this.#faults.happened
  }

  /** Runs to the end. Rejects with the failure. */
  async run(): Promise<void> {
    this.#releases.begin()
    try {
      await this.#storm()
      await this.#settle()
      this.#invariants.tables(this.#slots.processes)
      this.#invariants.mustHold(this.#slots.processes)
      await this.#options.check?.(this.#outcome())
      await this.#end()
    } finally {
      this.#gates.passAll()
      for (const process of this.#slots.processes) if (!process.over) process.kill()
      await turns(TURNS)
      this.#releases.close()
    }
  }

  /** The phase with input and faults. */
  async #storm(): Promise<void> {
    while (!this.#input.over || this.#faults.left) await this.#step(() => this.#decisions.stormy())
  }

  /** The phase without further faults, in which everything settles. */
  async #settle(): Promise<void> {
    this.#faults.end()
    const beganMs = this.#clock.monotonic()
    await this.#intruders.end()
    const last = this.trace.steps + this.#maxSteps / 2
    while (!this.#atRest()) {
      if (this.trace.steps > last) throw this.#notSettled('The workers did not come to rest')
      await this.#step(() => this.#decisions.quiet())
    }
    this.#settledMs = this.#clock.monotonic() - beganMs
  }

  /** Clean stops must leave everything as it is. */
  async #end(): Promise<void> {
    this.#gates.passAll()
    const { processes } = this.#slots
    for (const process of processes) process.stop()
    for (let tries = 0; processes.some(({ over }) => !over); tries++) {
      if (tries > 100) throw this.#notSettled('The workers did not stop')
      await turns(TURNS)
      await this.#time.leap(100)
    }
    this.#invariants.look()
    this.#invariants.endings(processes)
    this.#invariants.mustHold(processes)
  }

  async #step(decide: () => Promise<void>): Promise<void> {
    this.trace.nextStep()
    if (this.trace.steps > this.#maxSteps) throw this.#notSettled(`The run took more than ${this.trace.steps} steps`)
    await decide()
    // Between two decisions the app continues by itself, for a shorter or a longer while.
    await turns(this.#faults.over ? TURNS : this.#random.between(1, TURNS))
    this.#look()
  }

  /** Notes what has changed in the group, and checks the invariants. */
  #look(): void {
    const { generation, phase } = this.#log.group(this.#groupId)
    if (generation !== this.#generation && phase === 'stable') {
      this.#generation = generation
      this.#invariants.rebalanced(generation, this.trace.nowMs)
      this.trace.add('group', `generation ${generation}`)
    }
    this.#invariants.look()
    this.#invariants.endings(this.#slots.processes)
    this.#invariants.crowded(this.#slots.processes, this.#stuck.sinceMs, this.#nowMs())
    this.#invariants.revoking(this.#slots.processes, this.#stuck.sinceMs, this.#nowMs())
    this.#invariants.mustHold(this.#slots.processes)
  }

  /** Twice as many partitions for a topic of the input. */
  #grow(): string | undefined {
    const name = this.#random.pick(this.#input.topics)
    const topic = this.#log.topics().find((one) => one.name === name)
    if (topic === undefined) return undefined
    this.#log.addPartitions(topic.name, 2 * topic.partitions)
    return topic.name
  }

  #atRest(): boolean {
    const answersLeft = this.#gates.ready().some(({ what }) => what !== 'fetch' && what !== 'read')
    return (
      this.#input.over &&
      !answersLeft &&
      this.#slots.empty.length === 0 &&
      this.#options.isPending?.(this.#log, this.#clock.now()) !== true &&
      isAtRest(this.#slots.processes, { log: this.#log, groupId: this.#groupId })
    )
  }

  #notSettled(what: string): MillraceError {
    return new MillraceError('NOT_SETTLED', `${what}: ${describeInHand(this.#slots.processes, this.#gates.shut)}.`)
  }

  #outcome(): SimulatedRun {
    const { settings } = this.#releases.first.runtime.surroundings
    const exactlyOnce = settings.processingGuarantee === 'exactly-once'
    return {
      seed: this.#options.seed,
      log: this.#log,
      input: this.#input.sent,
      settledMs: this.#settledMs,
      mayDouble: !exactlyOnce && this.#faults.mayDouble,
      exactlyOnce,
      wasCut: (record) => this.#cuts.has(record),
      sent: (topic) => sentRecords(this.#log, topic),
    }
  }

  #world(release: number): SimulatedWorld {
    return {
      seed: this.#options.seed,
      release,
      random: () => this.#random.next(),
      fails: (share) => !this.#faults.over && this.#random.chance(share),
      pause: () => this.#gates.hold(this.#atWork(), 'handler'),
      work: (forMs) => this.#gates.work(this.#atWork(), forMs),
      block: () => this.#slots.processes.find((process) => process === this.#atWork())?.block(),
    }
  }

  /** The process that calls. */
  #atWork(): GateOwner {
    const id = this.#releases.all.flatMap(({ runtime }) => runtime.contexts.getStore()?.worker?.id ?? []).at(0)
    const process = this.#slots.processes.find(({ name }) => name === id)
    if (process !== undefined) return process
    // Work of a process that no longer exists: it is dead, and does nothing.
    return { name: id ?? 'outside', dead: id !== undefined, frozen: false, stalls: () => false }
  }
}
