import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A process of this package, for tests. */
export interface RunningProcess {
  readonly child: ChildProcess
  /** Lines it has written. */
  readonly lines: readonly string[]
  readonly errors: () => string
  /** Resolves when it has written so many lines, rejects when it ends before. */
  wrote(lines: number): Promise<void>
  /** Resolves when it has ended by itself. */
  ended(): Promise<ProcessOutcome>
  /** Ends it as nothing else can, and waits until it is gone. */
  kill(): Promise<void>
}

export interface ProcessOutcome {
  readonly code: number | null
  readonly signal: string | null
  readonly lines: readonly string[]
  readonly errors: string
}

/** Runs a script that stands beside this file. */
export function runProcess(file: string, ...args: readonly string[]): RunningProcess {
  const script = fileURLToPath(new URL(file, import.meta.url))
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const waiting: (() => void)[] = []
  let errors = ''
  child.stderr.on('data', (text) => (errors += String(text)))
  const wake = (): void => waiting.splice(0).forEach((check) => check())
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    wake()
  })
  const gone = once(child, 'close').then(wake)
  return {
    child,
    lines,
    errors: () => errors,
    wrote: (count) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (lines.length >= count) resolve()
          else if (child.exitCode !== null || child.signalCode !== null) reject(new Error(`It has ended: ${errors}`))
          else waiting.push(check)
        }
        check()
      }),
    async ended() {
      await gone
      return { code: child.exitCode, signal: child.signalCode, lines, errors }
    },
    async kill() {
      child.kill('SIGKILL')
      await gone
    },
  }
}
