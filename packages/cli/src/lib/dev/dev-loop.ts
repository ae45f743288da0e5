import { basename, relative, sep } from 'node:path'
import { type Clock, whenAborted } from '@millrace/core'
import type { AppDescription, CommandColors } from '@millrace/core/operations'
import { watch } from 'chokidar'
import type { OutputStream } from '../output/terminal.ts'
import { DevProcess } from './dev-process.ts'
import { topologyChanges } from './topology-changes.ts'

export interface DevLoopOptions {
  /** The typed words, passed on to the child processes. */
  readonly words: readonly string[]
  /** Directory of the app's package, whose sources are watched. */
  readonly directory: string
  /** Ends the loop when it aborts. */
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly output: OutputStream
  readonly color: CommandColors
  /**
   * Whether a spare process makes restarts quick. Not useful if the app's own file is the program, which is then
   * loaded at once.
   */
  readonly keepsSpare: boolean
}

/** Runs the app until the signal, and restarts it after each change of its sources. */
export async function devLoop(options: DevLoopOptions): Promise<void> {
  const { words, directory, signal, clock, output, color, keepsSpare } = options
  const say = (text: string): void => void output.write(`${color.dim('[dev]')} ${text}\n`)
  const sources = await watchSources(directory)
  const stopped = whenAborted(signal).then(() => 'stopped' as const)
  let last: AppDescription | undefined
  let spare: DevProcess | undefined
  let why: string | undefined
  try {
    while (!signal.aborted) {
      const beganMs = clock.monotonic()
      const current: DevProcess = spare ?? new DevProcess(words, clock)
      spare = undefined
      current.start()
      const changed = sources.changed().then((files) => ({ files }))
      const ended = current.ended.then((how) => ({ how }))
      let outcome = await Promise.race([current.ready, ended, changed, stopped])
      if (outcome !== 'stopped' && 'description' in outcome) {
        const { description, url } = outcome
        const seconds = ((clock.monotonic() - beganMs) / 1000).toFixed(2)
        say(`${why === undefined ? 'ready' : 'restarted'} in ${seconds} s: ${url ?? description.broker}`)
        for (const line of last === undefined ? [] : topologyChanges(last, description)) say(line)
        last = description
        if (keepsSpare) spare = new DevProcess(words, clock)
        outcome = await Promise.race([ended, changed, stopped])
      }
      if (outcome !== 'stopped' && 'how' in outcome && !signal.aborted) {
        say(color.red(`The app has ended (${outcome.how}). It starts again when a source changes.`))
        outcome = await Promise.race([changed, stopped])
      }
      if (outcome !== 'stopped' && 'files' in outcome) {
        why = outcome.files.slice(0, 3).join(', ')
        say(`${why} changed, restarting`)
      }
      if (!(await current.stop()))
        say('The app did not stop within 5 s and was killed: see what hangs in its handlers.')
    }
  } finally {
    await Promise.all([spare?.stop(), sources.close()])
  }
}

/** Files that may belong to an app. Excludes records, logs and data that a worker writes. */
const SOURCES = /\.(?:[cm]?[jt]sx?|json)$/

const PASSED_OVER = new Set(['node_modules', 'dist', 'build', 'coverage'])

/** An editor writes a file in several steps, and several files at once. */
const SETTLE_MS = 40

/** Watches the sources of a package. */
export interface SourceWatch {
  /** Resolves with the files changed since the last call, relative to the directory; at once if there are any. */
  changed(): Promise<readonly string[]>
  close(): Promise<void>
}

/** Resolves once the watcher is active. */
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
