import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A file system of its own that is soon full. */
export interface SmallDisk {
  readonly directory: string
  /** Gives it another size, in bytes. */
  resize(bytes: number): void
  remove(): void
}

/**
 * Mounts a small file system in memory, for tests of what a driver does when the disk is full. `undefined` where that
 * cannot be done: it takes Linux, and root.
 */
export function smallDisk(bytes: number): SmallDisk | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined
  const directory = mkdtempSync(join(tmpdir(), 'millrace-disk-'))
  const mount = (...options: readonly string[]): boolean =>
    spawnSync('mount', ['-t', 'tmpfs', ...options, 'tmpfs', directory]).status === 0
  if (!mount('-o', `size=${bytes}`)) {
    rmSync(directory, { recursive: true })
    return undefined
  }
  return {
    directory,
    resize: (size) => {
      if (!mount('-o', `remount,size=${size}`)) throw new Error(`"${directory}" cannot be given another size.`)
    },
    remove: () => {
      spawnSync('umount', ['--lazy', directory])
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
