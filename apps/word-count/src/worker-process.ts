import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const appFile = fileURLToPath(new URL('./app.ts', import.meta.url))

/** A worker of the word count in a process of its own, as a user starts it. */
export interface WorkerProcess {
  /** Resolves when it says that it is ready; rejects with its output when it ends before, or after 60 s. */
  ready(): Promise<void>
  /** SIGTERM, and the exit code. */
  stop(): Promise<number | null>
  /** kill -9. */
  kill(): Promise<void>
  /** What it logged. */
  output(): string
}

/** Environment of one run: which broker, and the app id, by which runs on one broker are kept apart. */
export interface RunEnvironment {
  readonly broker: string
  readonly id: string
  /** Default: at least once. */
  readonly guarantee?: 'at-least-once' | 'exactly-once'
}

export function startWorker({ broker, id, guarantee = 'at-least-once' }: RunEnvironment): WorkerProcess {
  const child = spawn(process.execPath, ['--import', 'tsx', appFile, 'worker'], {
    env: {
      ...process.env,
      MILLRACE_BROKER: broker,
      MILLRACE_ID: id,
      MILLRACE_WEB_ENABLED: 'false',
      MILLRACE_SESSION_TIMEOUT: '6s',
      MILLRACE_PROCESSING_GUARANTEE: guarantee,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const wakes = new Set<() => void>()
  const hear = (chunk: Buffer): void => {
    output += chunk.toString()
    for (const wake of wakes) wake()
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  const exited = once(child, 'exit')
  return {
    ready: () => untilReady(child, { wakes, output: () => output }),
    stop: async () => {
      child.kill('SIGTERM')
      await exited
      return child.exitCode
    },
    kill: async () => {
      child.kill('SIGKILL')
      await exited
    },
    output: () => output,
  }
}

function untilReady(
  child: ChildProcess,
  { wakes, output }: { readonly wakes: Set<() => void>; readonly output: () => string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      clearTimeout(limit)
      wakes.delete(look)
      child.off('exit', gone)
      settle()
    }
    const look = (): void => {
      if (output().includes('Worker is ready')) end(resolve)
    }
    const gone = (): void => end(() => reject(new Error(`The worker ended before it was ready:\n${output()}`)))
    const limit = setTimeout(
      () => end(() => reject(new Error(`The worker was not ready within 60 s:\n${output()}`))),
      60_000,
    )
    wakes.add(look)
    child.on('exit', gone)
    look()
  })
}

/** Runs a command of the app to its end and gives what it wrote. Rejects unless it exits with 0. */
export async function runCommand({ broker, id }: RunEnvironment, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, ['--import', 'tsx', appFile, ...args], {
    env: { ...process.env, MILLRACE_BROKER: broker, MILLRACE_ID: id },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${args.join(' ')} exited with ${String(code)}: ${Buffer.concat(err).toString()}`)
  return Buffer.concat(out).toString()
}
