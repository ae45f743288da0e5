import { ChangeSignal } from '../log/change-signal.ts'
import type { LogBackend, LogChanges, LogReads, LogWrites } from '../log/log-backend.ts'
import type { MemoryContents } from './memory-contents.ts'

/** The log in the heap of one process. A write happens at once, within the call. */
export class MemoryBackend implements LogBackend {
  readonly changes: LogChanges = { records: new ChangeSignal(), groups: new ChangeSignal() }
  readonly #contents: MemoryContents
  #version = 0

  constructor(contents: MemoryContents) {
    this.#contents = contents
  }

  /** Grows with each write. */
  get version(): number {
    return this.#version
  }

  read<T>(look: (log: LogReads) => T): T {
    return look(this.#contents)
  }

  async write<T>(kind: keyof LogChanges | 'quiet', change: (log: LogWrites) => T): Promise<T> {
    const result = change(this.#contents)
    this.#version++
    if (kind !== 'quiet') this.changes[kind].notify()
    return result
  }
}
