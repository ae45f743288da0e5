import { basename, relative, sep } from 'node:path'
import { watch } from 'chokidar'

/** What an app may be made of; records, logs and data that a worker writes are none of it. */
const SOURCES = /\.(?:[cm]?[jt]sx?|json)$/

const PASSED_OVER = new Set(['node_modules', 'dist', 'build', 'coverage'])

/** An editor writes a file in several steps, and several files at a time. */
const SETTLE_MS = 40

/** Watches the sources of a package. */
export interface SourceWatch {
  /** Resolves with the files that have changed since the last call, relative to the directory, at once if there are some. */
  changed(): Promise<readonly string[]>
  close(): Promise<void>
}

/** Resolves when it watches. */
export async function watchSources(directory: string): Promise<SourceWatch> {
  const files = new Set<string>()
  let wake: (() => void) | undefined
  const watcher = watch(directory, {
    ignoreInitial: true,
    awaitWriteFinish: { stabilityThreshold: SETTLE_MS, pollInterval: 10 },
    ignored: (path, stats) => {
      const parts = relative(directory, path).split(sep)
      if (parts.some((part) => PASSED_OVER.has(part))) return true
      const name = basename(path)
      if (parts[0] !== '' && name.startsWith('.') && name !== '.env') return true
      return stats?.isFile() === true && name !== '.env' && !SOURCES.test(name)
    },
  })
  watcher.on('all', (event, path) => {
    if (event === 'addDir' || event === 'unlinkDir') return
    files.add(relative(directory, path))
    wake?.()
  })
  await new Promise<void>((resolve, reject) => {
    watcher.once('ready', resolve)
    watcher.once('error', reject)
  })
  return {
    changed: async () => {
      if (files.size === 0) await new Promise<void>((resolve) => (wake = resolve))
      wake = undefined
      const changed = [...files].sort()
      files.clear()
      return changed
    },
    close: () => watcher.close(),
  }
}
