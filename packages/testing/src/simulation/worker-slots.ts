import type { Release } from './releases.ts'
import { SimulatedProcess, type ProcessDeps } from './simulated-process.ts'
import { SimulatedDisk } from './simulated-store.ts'

export interface WorkerSlotsDeps extends ProcessDeps {
  /** What a worker runs that starts now. */
  readonly newest: () => Release
  /** Workers are static members: they have their places in the group from their disks. */
  readonly statics: boolean
}

/** A place for a worker: its disk stays when the process goes. */
interface Slot {
  readonly name: string
  disk: SimulatedDisk
  starts: number
  process: SimulatedProcess | undefined
}

/** The places of a run's workers, and who runs there. */
export class WorkerSlots {
  readonly #deps: WorkerSlotsDeps
  readonly #slots: readonly Slot[]

  constructor(count: number, deps: WorkerSlotsDeps) {
    this.#deps = deps
    this.#slots = Array.from({ length: count }, (_, nth) => ({
      name: `w${nth + 1}`,
      disk: this.#disk(`w${nth + 1}`),
      starts: 0,
      process: undefined,
    }))
  }

  /** The last of each place, ended ones too. */
  get processes(): readonly SimulatedProcess[] {
    return this.#slots.flatMap(({ process }) => process ?? [])
  }

  /** Places where nobody runs. */
  get empty(): readonly Slot[] {
    return this.#slots.filter(({ process }) => process === undefined || process.over)
  }

  /** Nobody runs anywhere. */
  get allEmpty(): boolean {
    return this.empty.length === this.#slots.length
  }

  /** A new worker, on the disk that its predecessor has left or on an empty one. */
  start(slot: Slot): void {
    const { random, trace, newest } = this.#deps
    const keptDisk = slot.starts === 0 || random.chance(0.7)
    slot.starts++
    const name = `${slot.name}.${slot.starts}`
    if (!keptDisk) slot.disk = this.#disk(name)
    const release = newest()
    const process = new SimulatedProcess({ name, release, disk: slot.disk }, this.#deps)
    slot.process = process
    trace.add(process.name, `starts release ${release.number}${keptDisk ? '' : ' on an empty disk'}`)
    void process.start()
  }

  #disk(name: string): SimulatedDisk {
    return new SimulatedDisk(this.#deps.statics ? `disk of ${name}` : undefined)
  }
}
