import { SimulatedProcess, type ProcessDeps } from './simulated-process.ts'
import { SimulatedDisk } from './simulated-store.ts'

/** A place for a worker: its disk stays when the process goes. */
interface Slot {
  readonly name: string
  disk: SimulatedDisk
  starts: number
  process: SimulatedProcess | undefined
}

/** The places of a run's workers, and who runs there. */
export class WorkerSlots {
  readonly #deps: ProcessDeps
  readonly #slots: readonly Slot[]

  constructor(count: number, deps: ProcessDeps) {
    this.#deps = deps
    this.#slots = Array.from({ length: count }, (_, nth) => ({
      name: `w${nth + 1}`,
      disk: new SimulatedDisk(),
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
    const { random, trace } = this.#deps
    const keptDisk = slot.starts === 0 || random.chance(0.7)
    if (!keptDisk) slot.disk = new SimulatedDisk()
    slot.starts++
    const process = new SimulatedProcess(`${slot.name}.${slot.starts}`, slot.disk, this.#deps)
    slot.process = process
    trace.add(process.name, keptDisk ? 'starts' : 'starts on an empty disk')
    void process.start()
  }
}
