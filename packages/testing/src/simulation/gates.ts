import type { SeededRandom } from './seeded-random.ts'

/** The await of a handler whose work takes long. */
export const LONG_WORK = 'long work'

/** Requests that only a coordinator answers: about the group's offsets, or a transaction. */
export const FOR_COORDINATORS: RegExp = /^(?:commit|send offsets|init|begin|abort)\b/

/** The awaits of a worker while it opens tasks. */
export const OPENING: RegExp = /^(?:init|committed|offsets|open store|read|assignment)\b/

/** The awaits of a commit outside transactions: its rows and sends, and then its offsets. */
export const COMMITTING: RegExp = /^(?:send|turn to write|commit)$/

/** The owner of an await. */
export interface GateOwner {
  readonly name: string
  /** Nothing of it happens any more. */
  readonly dead: boolean
  /** Nothing of it happens for now. */
  readonly frozen: boolean
  /** Whether this request of it is stalled at present. */
  stalls(what: string): boolean
}

/** An await that the simulation ends when it decides. */
export interface Gate {
  readonly owner: GateOwner
  readonly what: string
  readonly heldSinceMs: number
  /** A slow gate stays shut until then. */
  readonly notBeforeMs: number
  readonly open: () => void
}

/** How awaits are held. */
export interface GateHabits {
  /** The share of awaits that are held at all; the others continue at once. */
  readonly holdShare: number
  /** The share of the held ones that take time on the clock. */
  readonly slowShare: number
  /** The longest time of those. */
  readonly slowMs: number
}

export interface GatesDeps {
  readonly random: SeededRandom
  readonly nowMs: () => number
  readonly habits: GateHabits
}

/** All awaits of an app that the simulation controls. */
export class Gates {
  readonly #deps: GatesDeps
  #shut: Gate[] = []
  #passing = false

  constructor(deps: GatesDeps) {
    this.#deps = deps
  }

  /** Waits until the simulation opens the gate; for ever if the owner is dead. */
  async hold(owner: GateOwner, what: string): Promise<void> {
    const { random, nowMs, habits } = this.#deps
    if (owner.dead) return never()
    if (this.#passing || (!owner.frozen && !owner.stalls(what) && !random.chance(habits.holdShare))) return
    const heldSinceMs = nowMs()
    const slow = random.chance(habits.slowShare)
    const notBeforeMs = slow ? heldSinceMs + random.between(1, habits.slowMs) : heldSinceMs
    await new Promise<void>((open) => this.#shut.push({ owner, what, heldSinceMs, notBeforeMs, open }))
    if (owner.dead) return never()
  }

  /** The same without chance: it is held in any case. */
  async wait(owner: GateOwner, what: string): Promise<void> {
    if (owner.dead) return never()
    if (this.#passing) return
    const nowMs = this.#deps.nowMs()
    await new Promise<void>((open) => this.#shut.push({ owner, what, heldSinceMs: nowMs, notBeforeMs: nowMs, open }))
    if (owner.dead) return never()
  }

  /** The same for work that takes time on the clock in any case. */
  async work(owner: GateOwner, forMs: number): Promise<void> {
    if (owner.dead) return never()
    if (this.#passing) return
    const heldSinceMs = this.#deps.nowMs()
    const notBeforeMs = heldSinceMs + forMs
    await new Promise<void>((open) => this.#shut.push({ owner, what: LONG_WORK, heldSinceMs, notBeforeMs, open }))
    if (owner.dead) return never()
  }

  get shut(): readonly Gate[] {
    return this.#shut
  }

  /** The gates that may be opened now. */
  ready(): readonly Gate[] {
    const nowMs = this.#deps.nowMs()
    return this.#shut.filter(
      ({ owner, what, notBeforeMs }) => !owner.frozen && notBeforeMs <= nowMs && !owner.stalls(what),
    )
  }

  open(gate: Gate): void {
    this.#shut.splice(this.#shut.indexOf(gate), 1)
    gate.open()
  }

  /** The owner's awaits never end. */
  drop(owner: GateOwner): void {
    this.#shut = this.#shut.filter((gate) => gate.owner !== owner)
  }

  /** Stops holding anything. */
  passAll(): void {
    this.#passing = true
    for (const gate of this.#shut.splice(0)) gate.open()
  }
}

/** The answer of a dead process. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => {})
}
