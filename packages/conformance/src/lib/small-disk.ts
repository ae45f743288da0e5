import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A small file system that is soon full. */
export interface SmallDisk {
  readonly directory: string
  /** Gives it another size, in bytes. */
  resize(bytes: number): void
  remove(): void
}

/**
 * Mounts a small file system in memory, for tests of a driver on a full disk. `undefined` if that is impossible: it
 * needs Linux, and root.
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
