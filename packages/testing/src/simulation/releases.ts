import { runtimeOf, type App, type AppRuntime } from '@millrace/app'
import { collectLog } from '../lib/collected-log.ts'
import type { ManualClock } from '@millrace/core'
import type { SimulatedApp, SimulatedWorld } from './simulation-options.ts'

/** One version of the app, as it is deployed in a run. */
export interface Release {
  /** From 1. */
  readonly number: number
  readonly app: App
  readonly runtime: AppRuntime
}

export interface ReleasesOptions {
  readonly app: SimulatedApp
  /** How many there may be in a run. */
  readonly most: number
  readonly clock: ManualClock
  readonly partitions: number
  readonly world: (release: number) => SimulatedWorld
}

/** The versions of an app that a run deploys one after another. Workers that start run the newest. */
export class Releases {
  readonly first: Release
  readonly #options: ReleasesOptions
  readonly #made: Release[] = []
  /** Puts back what the run has changed, for apps that were not made for this run. */
  readonly #undo: (() => void)[] = []

  constructor(options: ReleasesOptions) {
    this.#options = options
    this.first = this.#make(1)
  }

  get newest(): Release {
    return this.#made.at(-1) ?? this.first
  }

  get all(): readonly Release[] {
    return this.#made
  }

  /** Another one can follow. */
  get more(): boolean {
    return this.#made.length < this.#options.most
  }

  /** The run begins. */
  begin(): void {
    this.#surround(this.first)
  }

  /** From now on workers start with the next one. */
  deploy(): void {
    if (this.more) this.#surround(this.#make(this.#made.length + 1))
  }

  /** The run is over: apps are as they were before it, and those made for it are of no use any more. */
  close(): void {
    for (const undo of this.#undo.splice(0)) undo()
    // Its storage would cost something at every promise.
    if (typeof this.#options.app === 'function') for (const { runtime } of this.#made) runtime.contexts.disable()
  }

  #make(number: number): Release {
    const { app: given, world } = this.#options
    const app = typeof given === 'function' ? given(world(number)) : given
    const release = { number, app, runtime: runtimeOf(app) }
    this.#made.push(release)
    return release
  }

  #surround({ runtime: { surroundings } }: Release): void {
    const before = { ...surroundings }
    this.#undo.push(() => Object.assign(surroundings, before))
    surroundings.clock = this.#options.clock
    surroundings.log = collectLog()
    surroundings.freeze = true
    surroundings.settings = { ...surroundings.settings, topicPartitions: this.#options.partitions }
  }
}
