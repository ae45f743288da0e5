import { closeSync, openSync, watch, writeSync, type FSWatcher } from 'node:fs'
import { join } from 'node:path'
import { type Clock, hasSystemCode, PRIVATE_FILE, type Scheduled } from '@millrace/core'

/** Finds changes that the watch misses. */
const POLL_MS = 250

/**
 * Notifies the processes that share a log of each other's writes: a writer touches a small file that all of them watch.
 */
export class WakeFile {
  readonly #fd: number
  readonly #watcher: FSWatcher
  readonly #clock: Clock
  readonly #onWake: () => void
  #poll: Scheduled | undefined
  #closed = false

  constructor(directory: string, clock: Clock, onWake: () => void) {
    const path = wakePath(directory)
    this.#clock = clock
    this.#onWake = onWake
    closeSync(openSync(path, 'a', PRIVATE_FILE))
    this.#fd = openSync(path, 'r+')
    this.#watcher = watch(path, () => this.#wake())
    // The poll continues without it.
    this.#watcher.on('error', () => this.#watcher.close())
    this.#arm()
  }

  touch(): void {
    if (!this.#closed) overwrite(this.#fd)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#poll?.cancel()
    this.#watcher.close()
    closeSync(this.#fd)
  }

  #arm(): void {
    this.#poll = this.#clock.schedule(POLL_MS, () => {
      this.#wake()
      if (!this.#closed) this.#arm()
    })
  }

  #wake(): void {
    if (!this.#closed) this.#onWake()
  }
}

/** Wakes the processes that watch, for a process that does not watch itself. */
export function touchWake(directory: string): void {
  closeSync(openSync(wakePath(directory), 'a', PRIVATE_FILE))
  const fd = openSync(wakePath(directory), 'r+')
  overwrite(fd)
  closeSync(fd)
}

/** A commit stands whether or not the others can be notified at once: on a full disk their polls find it. */
function overwrite(fd: number): void {
  try {
    writeSync(fd, 'x', 0)
  } catch (error) {
    if (!isNoRoom(error)) throw error
  }
}

function wakePath(directory: string): string {
  return join(directory, 'millrace-log.wake')
}

/** Whether a file could not be written because the disk or a quota is full. */
export function isNoRoom(error: unknown): boolean {
  return hasSystemCode(error, 'ENOSPC', 'EDQUOT')
}
