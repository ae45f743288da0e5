import type { ManualClock } from '@millrace/core'
import type { Faults } from './faults.ts'
import type { Gates } from './gates.ts'
import type { InputFeed } from './input-feed.ts'
import type { PassingTime } from './passing-time.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { Trace } from './trace.ts'
import type { WorkerSlots } from './worker-slots.ts'

export interface DecisionsDeps {
  readonly random: SeededRandom
  readonly clock: ManualClock
  readonly trace: Trace
  readonly gates: Gates
  readonly time: PassingTime
  readonly input: InputFeed
  readonly slots: WorkerSlots
  readonly faults: Faults
}

/** Decides by chance what happens next in a run: one thing a step. */
export class Decisions {
  readonly #deps: DecisionsDeps

  constructor(deps: DecisionsDeps) {
    this.#deps = deps
  }

  /** A step while faults continue. */
  async stormy(): Promise<void> {
    const { random, input, slots, faults, time } = this.#deps
    const { empty, allEmpty } = slots
    faults.steer()
    const roll = random.next()
    if (roll < 0.02 && faults.left) return this.#fault()
    const slot = empty.length > 0 && (roll < 0.06 || allEmpty) ? random.pick(empty) : undefined
    if (slot !== undefined) return slots.start(slot)
    if (roll < 0.2 && !input.over) return this.#send()
    if (roll < 0.25) return time.pass()
    return this.#openOne()
  }

  /** A step on the way to rest: all workers run, the rest of the input is sent, and held awaits continue. */
  async quiet(): Promise<void> {
    const { random, input, slots, time } = this.#deps
    const [empty] = slots.empty
    if (empty !== undefined) return slots.start(empty)
    if (!input.over) return this.#send()
    return random.chance(0.05) ? time.pass() : this.#openOne()
  }

  async #fault(): Promise<void> {
    if (!this.#deps.faults.strike()) return this.#openOne()
  }

  async #openOne(): Promise<void> {
    const { random, trace, gates, time, input } = this.#deps
    const gate = random.pick(gates.ready())
    if (gate === undefined) return input.over || random.chance(0.5) ? time.pass() : this.#send()
    trace.add(gate.owner.name, `> ${gate.what}`)
    gates.open(gate)
  }

  async #send(): Promise<void> {
    const { clock, trace, input, time } = this.#deps
    const sent = await input.send(clock.now())
    // The first worker has not created the topic yet.
    if (sent === undefined) return time.pass()
    trace.add('input', `${sent.topic}-${sent.partition}@${sent.offset}`)
  }
}
