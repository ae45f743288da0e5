import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { systemClock, withTimeout } from '@millrace/core'

/** An app in its own process, as a user runs it. */
export interface AppProcess {
  readonly pid: number | undefined
  /** Everything that it has written to both outputs. */
  output(): string
  /** Its standard output alone, which programs read. */
  stdout(): string
  /** The address of a ready worker's pages. Throws if the output does not contain it. */
  site(): string
  /**
   * Resolves when the output contains the text; rejects with the output if the process ends before, or after the limit
   * (60 s).
   */
  said(text: string, limitMs?: number): Promise<void>
  /** Exit code; `null` if a signal ended it. */
  readonly exited: Promise<number | null>
  signal(signal: NodeJS.Signals): void
  /** Sends SIGTERM, and resolves with the exit code. */
  stop(): Promise<number | null>
  /** kill -9. */
  kill(): Promise<void>
}

export interface StartOptions {
  /** A program with its arguments that runs the process, such as `['ip', 'netns', 'exec', 'other']`. Default: none. */
  readonly through?: readonly string[]
}

/**
 * Runs an app file with the arguments of its command line: `node --import tsx app.ts worker`, or `node app.js worker`
 * for JavaScript. The caller ends it.
 *
 * @example
 * const worker = startApp(new URL('./app.ts', import.meta.url), ['worker'], { MILLRACE_BROKER: 'embedded:/tmp/x' })
 * await worker.said('Worker is ready')
 * expect(await worker.stop()).toBe(0)
 */
export function startApp(
  file: URL,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  { through = [] }: StartOptions = {},
): AppProcess {
  const loader = /\.[cm]?ts$/.test(file.pathname) ? ['--import', 'tsx'] : []
  const [program = process.execPath, ...words] = [...through, process.execPath, ...loader, fileURLToPath(file), ...args]
  const child = spawn(program, words, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let stdout = ''
  let ended = false
  const waiting = new Set<() => void>()
  const wake = (): void => {
    for (const look of waiting) look()
  }
  const hear = (chunk: Buffer): void => {
    output += chunk.toString()
    wake()
  }
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
    hear(chunk)
  })
  child.stderr.on('data', hear)
  // 'close' is emitted when the outputs were read to their ends.
  const exited = once(child, 'close').then(() => {
    ended = true
    wake()
    return child.exitCode
  })
  const said = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (output.includes(text)) resolve()
        else if (ended) reject(new Error(`The process ended before it said "${text}":\n${output}`))
        else return
        waiting.delete(look)
      }
      waiting.add(look)
      look()
    })
  return {
    pid: child.pid,
    output: () => output,
    stdout: () => stdout,
    site: () => {
      const url = /"url":"(http:[^"]+)"/.exec(output)?.[1]
      if (url === undefined) throw new Error(`The worker has not said where it serves its pages:\n${output}`)
      return url
    },
    said: (text, limitMs = 60_000) =>
      withTimeout(
        said(text),
        limitMs,
        systemClock(),
        () => new Error(`Not said within ${limitMs} ms: "${text}". Output:\n${output}`),
      ),
    exited,
    signal: (signal) => void child.kill(signal),
    stop: async () => {
      child.kill('SIGTERM')
      return exited
    },
    kill: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
}
