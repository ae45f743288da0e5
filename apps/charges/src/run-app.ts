import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { eventually } from '@millrace/conformance'

const appFile = fileURLToPath(new URL('./app.ts', import.meta.url))

/** One run of the app: where, and under which id, by which runs on one broker are kept apart. */
export interface AppRun {
  readonly broker: string
  readonly id: string
  readonly guarantee: 'at-least-once' | 'exactly-once'
}

interface Spawned {
  readonly child: ChildProcess
  output(): string
  errors(): string
}

export interface WorkerProcess {
  /** SIGTERM, and the exit code. */
  stop(): Promise<number | null>
  kill(): Promise<void>
}

/** A worker as a process of its own; resolves when it is ready. */
export async function startWorker(run: AppRun, expiredCards: readonly string[]): Promise<WorkerProcess> {
  const { child, output, errors } = launch(run, ['worker'], { EXPIRED_CARDS: expiredCards.join(',') })
  const exited = once(child, 'exit')
  await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`The worker ended before it was ready:\n${output()}${errors()}`)
      return output().includes('Worker is ready')
    },
    { what: 'the worker to be ready', limitMs: 60_000 },
  )
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal)
    if (child.exitCode === null && child.signalCode === null) await exited
    return child.exitCode
  }
  return { stop: () => end('SIGTERM'), kill: async () => void (await end('SIGKILL')) }
}

export interface Ended {
  readonly code: number
  readonly output: string
  readonly errors: string
}

/** A command of the app, run to its end. */
export async function command(run: AppRun, words: readonly string[]): Promise<Ended> {
  const { child, output, errors } = launch(run, words, {})
  const [code] = await once(child, 'close')
  return { code: Number(code), output: output(), errors: errors() }
}

/** What a command says with `--json`; rejects unless it exits with 0. */
export async function commandJson(run: AppRun, words: readonly string[]): Promise<unknown> {
  const { code, output, errors } = await command(run, [...words, '--json'])
  if (code !== 0) throw new Error(`${words.join(' ')} exited with ${code}: ${errors}`)
  return JSON.parse(output)
}

function launch({ broker, id, guarantee }: AppRun, words: readonly string[], env: Record<string, string>): Spawned {
  const child = spawn(process.execPath, ['--import', 'tsx', appFile, ...words], {
    env: {
      ...process.env,
      MILLRACE_BROKER: broker,
      MILLRACE_ID: id,
      MILLRACE_WEB_ENABLED: 'false',
      MILLRACE_PROCESSING_GUARANTEE: guarantee,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [output, errors] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => void (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => void (errors += chunk.toString()))
  return { child, output: () => output, errors: () => errors }
}
