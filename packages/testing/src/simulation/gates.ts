import type { SeededRandom } from './seeded-random.ts'

/** What a handler waits for whose work takes long. */
export const LONG_WORK = 'long work'

/** Requests that only a coordinator answers: of the group's offsets, of a transaction. */
export const FOR_COORDINATORS: RegExp = /^(?:commit|send offsets|init|begin|abort)\b/

/** What a worker waits for while it opens tasks. */
export const OPENING: RegExp = /^(?:init|committed|offsets|open store|read|assignment)\b/

/** Whose wait it is. */
export interface GateOwner {
  readonly name: string
  /** Nothing of it happens any more. */
  readonly dead: boolean
  /** Nothing of it happens for now. */
  readonly frozen: boolean
  /** This request of it does not get on for now. */
  stalls(what: string): boolean
}

/** One await that the simulation lets go on when it likes. */
export interface Gate {
  readonly owner: GateOwner
  readonly what: string
  readonly heldSinceMs: number
  /** A slow one stays shut until then. */
  readonly notBeforeMs: number
  readonly open: () => void
}

/** How awaits are held. */
export interface GateHabits {
  /** Share of awaits that are held at all; the others go on at once. */
  readonly holdShare: number
  /** Share of the held ones that take time on the clock. */
  readonly slowShare: number
  /** Longest time of those. */
  readonly slowMs: number
}

export interface GatesDeps {
  readonly random: SeededRandom
  readonly nowMs: () => number
  readonly habits: GateHabits
}

/** Every await of an app that the simulation holds in its hand. */
export class Gates {
  readonly #deps: GatesDeps
  #shut: Gate[] = []
  #passing = false

  constructor(deps: GatesDeps) {
    this.#deps = deps
  }

  /** Waits until the simulation lets it go on; without end for the dead. */
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

  /** The same for what takes so long on the clock in any case. */
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

  /** Those that may be opened now. */
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

  /** Its awaits never end. */
  drop(owner: GateOwner): void {
    this.#shut = this.#shut.filter((gate) => gate.owner !== owner)
  }

  /** Nothing is held any more. */
  passAll(): void {
    this.#passing = true
    for (const gate of this.#shut.splice(0)) gate.open()
  }
}

/** What the dead answer. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => {})
}
