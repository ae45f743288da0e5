import type { ManualClock } from '@millrace/core'
import { FOR_COORDINATORS, LONG_WORK, OPENING, COMMITTING, type Gates } from './gates.ts'
import type { Releases } from './releases.ts'
import type { SeededRandom } from './seeded-random.ts'
import { DOUBLING_FAULTS, PLANNED_FAULTS, type PlannedFault } from './settled-faults.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import type { RequestFaults } from './simulated-wire.ts'
import type { SimulationFaults } from './simulation-options.ts'
import type { Trace } from './trace.ts'

export interface FaultsDeps {
  readonly most: Required<SimulationFaults>
  readonly random: SeededRandom
  readonly clock: ManualClock
  readonly trace: Trace
  readonly gates: Pick<Gates, 'shut'>
  readonly releases: Releases
  readonly processes: () => readonly SimulatedProcess[]
  /** Deletes the oldest records of an input partition; returns what it did, if anything. */
  readonly cut: () => string | undefined
  /** Makes a partition accept no records for a while; returns which, if there is one. */
  readonly stick: () => string | undefined
  /** Makes all partitions accept records again. */
  readonly unstick: () => void
  /** Gives an input topic more partitions; returns which one, if any. */
  readonly grow: () => string | undefined
  /** A foreign member joins the group; returns false without a group. */
  readonly intrude: () => boolean
}

/** Faults of one guarantee, or only on request. */
const OF_SOME_RUNS: readonly PlannedFault[] = ['delays', 'lags', 'evictions', 'topicChanges']

/** The longest time that a worker gets no news of its group. */
const LONGEST_LAG_MS = 3_000

/** The faults of one run: those to come, those that have happened, and their end. */
export class Faults {
  readonly happened: Map<string, number> = new Map()
  readonly #deps: FaultsDeps
  readonly #planned: PlannedFault[]
  #over = false

  constructor(deps: FaultsDeps) {
    this.#deps = deps
    const { most, random } = deps
    // An impossible fault takes no random number, so that a fault of some runs changes none of the others.
    const possible = PLANNED_FAULTS.filter((fault) => !OF_SOME_RUNS.includes(fault) || most[fault] > 0)
    this.#planned = possible.flatMap((fault) => Array.from({ length: random.between(0, most[fault]) }, () => fault))
  }

  /** Whether some faults are still to come, or under way. */
  get left(): boolean {
    return this.#planned.length > 0 || this.#deps.processes().some(({ stalled, over }) => stalled && !over)
  }

  get over(): boolean {
    return this.#over
  }

  /** Whether a fault has happened after which an event may be handled twice under at-least-once. */
  get mayDouble(): boolean {
    return DOUBLING_FAULTS.some((fault) => this.happened.has(fault))
  }

  ofRequests(): RequestFaults {
    return this.#over ? { lostAnswers: 0, commitErrors: 0 } : this.#deps.most
  }

  count(fault: string): void {
    this.happened.set(fault, (this.happened.get(fault) ?? 0) + 1)
  }

  /** Makes one of the planned faults happen; returns false if none is possible now. */
  strike(): boolean {
    const fault = this.#deps.random.pick(this.#planned)
    return fault !== undefined && this.#strikeWith(fault)
  }

  #strikeWith(fault: PlannedFault): boolean {
    const { random, trace, cut, stick, grow, intrude } = this.#deps
    let who: string | undefined
    if (fault === 'cuts') who = cut()
    else if (fault === 'delays') who = stick()
    else if (fault === 'topicChanges') who = grow()
    else if (fault === 'intruders') who = intrude() ? 'a stranger' : undefined
    else who = this.#befall(fault)
    // An impossible fault may be possible later, but not for ever: otherwise the run would have no end.
    if (who !== undefined || random.chance(0.1)) this.#planned.splice(this.#planned.indexOf(fault), 1)
    if (who === undefined) return false
    if (fault !== 'blocks') this.count(fault)
    trace.add(who, `fault: ${fault}`)
    return true
  }

  /**
   * Wakes up a removed worker, or lets its requests arrive, while others open its tasks, because there it could do
   * harm.
   */
  steer(): void {
    this.#rebalanceInStop()
    const { random, gates, processes } = this.#deps
    const gone = processes().filter((one) => one.expired && (one.frozen || one.stalled) && !one.over)
    if (gone.length === 0) return
    const opening = gates.shut.some(({ owner, what }) => OPENING.test(what) && !gone.some((one) => one === owner))
    if (!opening || !random.chance(0.1)) return
    for (const process of gone) {
      process.thaw()
      process.stall(0)
    }
  }

  /** Ends the faults: suspended processes continue, and silent members are heard again or removed. */
  end(): void {
    const { trace, processes, releases } = this.#deps
    trace.add('simulation', 'the faults are over')
    this.#over = true
    this.#deps.unstick()
    for (const process of processes()) {
      process.thaw()
      process.stall(0)
      if (process.release !== releases.newest) process.stop()
      if (!process.heartbeats.silent || !process.up) continue
      // No group goes on without a member before its session is over; until then its lease is valid.
      if (process.unheardMs < process.sessionMs) process.heartbeats.resume()
      else process.expire()
    }
  }

  /** A planned rebalance during the stop of a worker that waits for long events: its group must not wait with it. */
  #rebalanceInStop(): void {
    const { random, gates, processes } = this.#deps
    if (!this.#planned.includes('rebalances')) return
    const waits = processes().some(
      (one) => one.state === 'stopping' && gates.shut.some(({ owner, what }) => owner === one && what === LONG_WORK),
    )
    if (waits && random.chance(0.1)) this.#strikeWith('rebalances')
  }

  /** Returns the process that it happened to; `undefined` if there is none. */
  #befall(fault: Exclude<PlannedFault, 'cuts' | 'delays' | 'intruders' | 'topicChanges'>): string | undefined {
    const process = this.#victim(fault)
    if (process === undefined) return undefined
    if (fault === 'kills') process.kill()
    else if (fault === 'stops') process.stop()
    else if (fault === 'rebalances') process.rejoin()
    else if (fault === 'blocks') process.block()
    else if (fault === 'stalls') this.#stall(process)
    else if (fault === 'evictions') {
      process.heartbeats.stop()
      process.expire()
    } else if (fault === 'lags') process.lag(this.#deps.random.between(1, LONGEST_LAG_MS))
    else if (fault === 'deafStops') {
      process.stall(Infinity)
      process.stop()
    } else if (fault === 'deploys') this.#deploy(process)
    else this.#silence(process, fault)
    return process.name
  }

  /** Any process to which it can happen, more often one for which the moment is bad. */
  #victim(fault: PlannedFault): SimulatedProcess | undefined {
    const { random, gates, processes } = this.#deps
    const possible = processes().filter((one) =>
      fault === 'kills' ? !one.over : one.state === 'running' && !one.frozen && mayBefall(fault, one),
    )
    const bad = fault === 'kills' || fault === 'rebalances' ? OPENING : FOR_COORDINATORS
    const isBad = (what: string): boolean =>
      bad.test(what) ||
      (fault === 'kills' && COMMITTING.test(what)) ||
      (what === LONG_WORK && (fault === 'stops' || fault === 'rebalances'))
    const badly = possible.filter((one) => gates.shut.some(({ owner, what }) => owner === one && isBad(what)))
    return random.chance(0.6) && badly.length > 0 ? random.pick(badly) : random.pick(possible)
  }

  /** About as long as a transaction may take. */
  #stall(process: SimulatedProcess): void {
    const { transactionTimeoutMs } = process.release.runtime.surroundings.settings
    process.stall(transactionTimeoutMs * (0.1 + 1.2 * this.#deps.random.next()))
  }

  /** Deploys the next release, if there is one more, on a worker that goes down for it, in one way or the other. */
  #deploy(process: SimulatedProcess): void {
    const { random, releases, trace } = this.#deps
    releases.deploy()
    trace.add('simulation', `release ${releases.newest.number} is deployed`)
    if (random.chance(0.5)) return process.stop()
    this.count('kills')
    process.kill()
  }

  /** Heartbeats do not reach the group; if that lasts for a session, the group goes on without the worker. */
  #silence(process: SimulatedProcess, fault: 'silences' | 'freezes'): void {
    const { random, clock } = this.#deps
    const { sessionMs } = process
    if (fault === 'freezes') process.freeze()
    else process.heartbeats.stop()
    const { silences } = process.heartbeats
    const same = (): boolean => !process.over && process.heartbeats.silent && process.heartbeats.silences === silences
    const lastsMs = sessionMs * (0.5 + random.next())
    const heardMs = process.unheardMs
    // A broken network delays more than heartbeats.
    if (fault === 'silences' && random.chance(0.5)) process.stall(lastsMs)
    clock.schedule(lastsMs, () => {
      process.thaw()
      if (same() && lastsMs + heardMs < sessionMs) process.heartbeats.resume()
    })
    clock.schedule(sessionMs - heardMs, () => {
      if (same()) process.expire()
    })
  }
}

/** Some faults matter only in a rebalance; and a silent worker is about to be removed anyway. */
function mayBefall(fault: PlannedFault, { revoking, heartbeats }: SimulatedProcess): boolean {
  return (fault !== 'evictions' && fault !== 'lags') || (revoking !== undefined && !heartbeats.silent)
}
