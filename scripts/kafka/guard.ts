import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Writable } from 'node:stream'

/**
 * A process that ends others, and removes their directories, once this one has gone in whatever way. `guard.mjs` says what it
 * is told on its input.
 */
export function startGuard(): ChildProcessByStdio<Writable, null, null> {
  const guard = spawn(process.execPath, [join(import.meta.dirname, 'guard.mjs')], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  guard.unref()
  // The starter may be on its way out while the guard is too: nothing is left to tell it then.
  guard.stdin.on('error', () => {})
  return guard
}
