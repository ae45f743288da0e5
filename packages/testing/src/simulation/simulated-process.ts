import type { RunningWorker } from '@millrace/app'
import { type CommitOffset, type Logger, type ManualClock, toError } from '@millrace/core'
import type { AssignmentChange, GroupAssignor, StoreDriver, Transport } from '@millrace/core/driver'
import { createMemoryTransport, type MemoryLog, type MemoryTransport } from '@millrace/transport-embedded'
import type { Worker } from '@millrace/worker'
import { FOR_COORDINATORS, type GateOwner, type Gates } from './gates.ts'
import { Heartbeats } from './heartbeats.ts'
import type { MemberNames } from './member-names.ts'
import { ProcessClock } from './process-clock.ts'
import type { Release } from './releases.ts'
import type { SeededRandom } from './seeded-random.ts'
import { SimulatedStore, type SimulatedDisk } from './simulated-store.ts'
import { SimulatedTransport } from './simulated-transport.ts'
import type { RequestFaults, SimulatedWire } from './simulated-wire.ts'
import { type Trace, warningsTo } from './trace.ts'

/** The share of sends that wait until the log lets them write. */
const WAITING_SHARE = 0.1

export interface ProcessDeps {
  readonly log: MemoryLog
  readonly clock: ManualClock
  readonly gates: Gates
  readonly random: SeededRandom
  /** Decides which sends wait for the log, and how many records of its last sends a killed process has stored. */
  readonly ofSends: SeededRandom
  readonly names: MemberNames
  readonly trace: Trace
  readonly faults: () => RequestFaults
  readonly happened: (fault: string) => void
  readonly healed: SimulatedWire['healed']
  readonly assigned: (process: SimulatedProcess, before: number, change: AssignmentChange) => void
  readonly sending: (process: SimulatedProcess) => void
  readonly committing: (process: SimulatedProcess, offsets: readonly CommitOffset[]) => void
  readonly initialising: (process: SimulatedProcess, transactionalId: string) => void
  readonly wrapTransport: (transport: Transport) => Transport
  readonly wrapStore: (store: StoreDriver) => StoreDriver
}

export type ProcessState = 'starting' | 'running' | 'stopping' | 'stopped' | 'failed' | 'dead'

/** A rebalance that a worker was notified of and has not answered. */
export interface Revoking {
  /** The state of the worker when it was notified. */
  readonly as: ProcessState
}

/** One run of a worker, from its start to its end: the simulation's version of a process. */
export class SimulatedProcess implements GateOwner {
  readonly name: string
  readonly release: Release
  readonly store: SimulatedStore
  readonly heartbeats: Heartbeats
  readonly #deps: ProcessDeps
  readonly #clock: ProcessClock
  readonly #logger: Logger
  readonly #memory: MemoryTransport
  readonly #transport: SimulatedTransport
  #worker: Worker | undefined
  #running: RunningWorker | undefined
  #state: ProcessState = 'starting'
  #frozen = false
  #stalledUntilMs = -Infinity
  /** When it was told to stop; moved by the time for which it has been frozen since. */
  #stoppedMs: number | undefined
  #frozenMs = 0
  /** By transactional id: when a producer with it was found to be fenced. */
  readonly #fencedMs = new Map<string, number>()
  #expired = false
  #revoking: Revoking | undefined
  #failure: Error | undefined

  constructor(
    { name, release, disk }: { readonly name: string; readonly release: Release; readonly disk: SimulatedDisk },
    deps: ProcessDeps,
  ) {
    const { log, clock, gates, random, ofSends, names, trace, faults, happened, healed } = deps
    this.name = name
    this.release = release
    this.#deps = deps
    this.#clock = new ProcessClock(clock)
    this.heartbeats = new Heartbeats(this.#clock)
    const hold = (what: string): Promise<void> => gates.hold(this, what)
    this.store = new SimulatedStore(disk, hold)
    const note = (what: string): void => trace.add(name, what)
    // Dead processes log nothing.
    this.#logger = warningsTo((what) => this.dead || note(names.clean(what)))
    this.#memory = createMemoryTransport(log, { clock: this.#clock, log: this.#logger })
    this.#transport = new SimulatedTransport(
      {
        ...{ log, random, names, faults, happened, healed, hold, note },
        heartbeats: this.heartbeats,
        turn: async () => {
          if (ofSends.chance(WAITING_SHARE)) await gates.wait(this, 'turn to write')
        },
        sending: () => deps.sending(this),
        revoking: (on) => {
          this.#revoking = on ? { as: this.#state } : undefined
        },
        dead: () => this.dead,
        monotonic: () => this.#clock.monotonic(),
        stored: (records) => trace.stored(name, records),
        assigned: (before, change) => deps.assigned(this, before, change),
        committing: (offsets) => deps.committing(this, offsets),
        initialising: (id) => deps.initialising(this, id),
        fenced: (id) => this.#fencedMs.set(id, this.#clock.monotonic()),
      },
      this.#memory,
    )
  }

  get worker(): Worker | undefined {
    return this.#worker
  }

  get state(): ProcessState {
    return this.#state
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  get dead(): boolean {
    return this.#state === 'dead'
  }

  get frozen(): boolean {
    return this.#frozen
  }

  /** Neither ended nor ending. */
  get up(): boolean {
    return this.#state === 'running' || this.#state === 'starting'
  }

  get over(): boolean {
    return this.#state === 'stopped' || this.#state === 'failed' || this.#state === 'dead'
  }

  /** As its worker gave it to the group; `undefined` before it has joined. */
  get assignor(): GroupAssignor | undefined {
    return this.#transport.assignor
  }

  /** Whether the group has gone on without it, and it has not joined again. */
  get expired(): boolean {
    return this.#expired && this.heartbeats.silent
  }

  /** When a producer with this transactional id was last found to be shut out; `-Infinity` if never. */
  fencedMs(transactionalId: string): number {
    return this.#fencedMs.get(transactionalId) ?? -Infinity
  }

  /** How long ago the group last got a heartbeat, as the process itself knows. */
  get unheardMs(): number {
    return this.#clock.monotonic() - this.heartbeats.lastMs
  }

  get sessionMs(): number {
    return this.release.runtime.surroundings.settings.sessionTimeoutMs
  }

  /** No coordinator answers it now. */
  get stalled(): boolean {
    return this.#deps.clock.monotonic() < this.#stalledUntilMs
  }

  stalls(what: string): boolean {
    return this.stalled && FOR_COORDINATORS.test(what)
  }

  /** The rebalance that waits for its answer. */
  get revoking(): Revoking | undefined {
    return this.#revoking
  }

  /** How long it has been stopping, without the time for which it was frozen; 0 if it is not stopping. */
  get stoppingMs(): number {
    if (this.#state !== 'stopping' || this.#stoppedMs === undefined || this.#frozen) return 0
    return this.#deps.clock.monotonic() - this.#stoppedMs
  }

  async start(): Promise<void> {
    const { wrapTransport, wrapStore } = this.#deps
    const { surroundings } = this.release.runtime
    // What the worker is given now it keeps; the app itself goes on with the clock that stands.
    const { clock, log } = surroundings
    surroundings.clock = this.#clock
    surroundings.log = this.#logger
    const launched = this.release.runtime.launch({
      workerId: this.name,
      drivers: { transport: wrapTransport(this.#transport), store: wrapStore(this.store) },
    })
    surroundings.clock = clock
    surroundings.log = log
    const running = await launched
    if (this.dead) return
    const { worker } = running
    this.#running = running
    this.#worker = worker
    worker.finished.then(
      () => this.#become('stopped'),
      (thrown: unknown) => this.#failed(thrown),
    )
    try {
      await worker.start()
      if (this.#state === 'starting') this.#become('running')
    } catch (thrown) {
      // A stop while it started ends the start so.
      if (this.up) this.#failed(thrown)
    }
  }

  /** Drains, commits and leaves, for as long as the simulation decides. */
  stop(): void {
    if (!this.up || this.#worker === undefined) return
    this.#become('stopping')
    this.#stoppedMs = this.#deps.clock.monotonic()
    void this.#worker.stop()
  }

  /** As kill -9. */
  kill(): void {
    const { clock, gates, trace, ofSends } = this.#deps
    trace.add(this.name, 'killed')
    this.#transport.tear(ofSends)
    this.#state = 'dead'
    gates.drop(this)
    this.#clock.kill()
    this.#memory.kill()
    // A static member keeps its membership until its session is over, or until it is back.
    const heardMs = this.unheardMs
    if (this.store.capabilities.workerId !== undefined)
      clock.schedule(Math.max(this.sessionMs - heardMs, 0), () => this.#memory.expire())
    if (this.#worker === undefined) return
    void this.#worker.stop({ hard: true })
    if (this.#running !== undefined) this.release.runtime.forget(this.#running)
  }

  /** As SIGSTOP. */
  freeze(): void {
    this.#frozen = true
    this.#frozenMs = this.#deps.clock.monotonic()
    this.#clock.freeze()
    this.heartbeats.stop()
  }

  /** Something computes in it for longer than a session at this moment, and the group goes on without it. */
  block(): void {
    const { clock, happened, trace } = this.#deps
    if (this.over || this.#frozen) return
    trace.add(this.name, 'its event loop is blocked')
    happened('blocks')
    this.heartbeats.stop()
    const { silences } = this.heartbeats
    this.#clock.block(this.sessionMs * 1.2)
    clock.schedule(0, () => {
      if (!this.over && this.heartbeats.silent && this.heartbeats.silences === silences) this.expire()
    })
  }

  /** No coordinator answers it for this long; 0 ends that. */
  stall(forMs: number): void {
    this.#stalledUntilMs = this.#deps.clock.monotonic() + forMs
  }

  /** As SIGCONT. */
  thaw(): void {
    if (this.dead || !this.#frozen) return
    this.#deps.trace.add(this.name, 'thawed')
    this.#frozen = false
    if (this.#stoppedMs !== undefined) this.#stoppedMs += this.#deps.clock.monotonic() - this.#frozenMs
    this.#clock.thaw()
  }

  /** Its session has run out: the group goes on without it. */
  expire(): void {
    this.#deps.trace.add(this.name, 'its session has run out')
    this.#expired = true
    this.#memory.expire()
  }

  /** It gets no news of its group for this long. */
  lag(forMs: number): void {
    this.#deps.clock.schedule(forMs, this.#memory.deafen())
  }

  rejoin(): void {
    this.#transport.rejoin()
  }

  #become(state: ProcessState, failure?: Error): void {
    if (this.dead) return
    this.#state = state
    this.#failure = failure
    this.#deps.trace.add(this.name, state)
  }

  #failed(thrown: unknown): void {
    if (!this.over) this.#become('failed', toError(thrown))
  }
}
