import type { ManualClock } from '@millrace/core'
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
  readonly processes: () => readonly SimulatedProcess[]
  readonly sessionMs: () => number
}

/** What goes wrong in one run: what is to come, what has happened, and how it ends. */
export class Faults {
  readonly happened: Map<string, number> = new Map()
  readonly #deps: FaultsDeps
  readonly #planned: PlannedFault[]
  #over = false

  constructor(deps: FaultsDeps) {
    this.#deps = deps
    const { most, random } = deps
    this.#planned = PLANNED_FAULTS.flatMap((fault) =>
      Array.from({ length: random.between(0, most[fault]) }, () => fault),
    )
  }

  /** Some are still to come. */
  get left(): boolean {
    return this.#planned.length > 0
  }

  get over(): boolean {
    return this.#over
  }

  /** One has happened after which an event may be handled twice under at-least-once. */
  get mayDouble(): boolean {
    return DOUBLING_FAULTS.some((fault) => this.happened.has(fault))
  }

  ofRequests(): RequestFaults {
    return this.#over ? { duplicates: 0, commitErrors: 0 } : this.#deps.most
  }

  count(fault: string): void {
    this.happened.set(fault, (this.happened.get(fault) ?? 0) + 1)
  }

  /** One of those that are planned befalls a worker; false when there is none that it could befall. */
  strike(): boolean {
    const { random, trace, processes } = this.#deps
    const fault = random.pick(this.#planned)
    const process = random.pick(
      processes().filter((one) => (fault === 'crashes' ? !one.over : one.state === 'running' && !one.frozen)),
    )
    if (fault === undefined || process === undefined) return false
    this.#planned.splice(this.#planned.indexOf(fault), 1)
    this.count(fault)
    trace.add(process.name, `fault: ${fault}`)
    if (fault === 'crashes') process.kill()
    else if (fault === 'stops') process.stop()
    else if (fault === 'rebalances') process.rejoin()
    else this.#silence(process, fault)
    return true
  }

  /** No more of them: what stood still goes on, and who was silent is heard again or is out. */
  end(): void {
    const { clock, trace, processes, sessionMs } = this.#deps
    trace.add('simulation', 'the faults are over')
    this.#over = true
    for (const process of processes()) {
      process.thaw()
      if (!process.heartbeats.silent || !process.up) continue
      // No group goes on without a member before its session is over: until then its lease holds.
      if (clock.monotonic() - process.heartbeats.lastMs < sessionMs()) process.heartbeats.resume()
      else process.expire()
    }
  }

  /** Heartbeats do not reach the group; if that lasts for a session, the group goes on without the worker. */
  #silence(process: SimulatedProcess, fault: 'silences' | 'freezes'): void {
    const { random, clock } = this.#deps
    const sessionMs = this.#deps.sessionMs()
    if (fault === 'freezes') process.freeze()
    else process.heartbeats.stop()
    const { silences } = process.heartbeats
    const same = (): boolean => !process.over && process.heartbeats.silent && process.heartbeats.silences === silences
    const lastsMs = sessionMs * (0.5 + random.next())
    const heardMs = clock.monotonic() - process.heartbeats.lastMs
    clock.schedule(lastsMs, () => {
      process.thaw()
      if (same() && lastsMs + heardMs < sessionMs) process.heartbeats.resume()
    })
    clock.schedule(sessionMs - heardMs, () => {
      if (same()) process.expire()
    })
  }
}
