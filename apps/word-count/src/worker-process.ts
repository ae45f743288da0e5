import { bundled } from '@millrace/programs-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'

const appFile = await bundled(new URL('./app.ts', import.meta.url))

/** Environment of one run: which broker, and the app id, by which runs on one broker are kept apart. */
export interface RunEnvironment {
  readonly broker: string
  readonly id: string
  /** Default: at least once. */
  readonly guarantee?: 'at-least-once' | 'exactly-once'
  /** Default: one. */
  readonly processes?: number
}

/** A worker of the word count in a process of its own, its pages on any free port; short sessions, so that a killed one is missed soon. */
export function startWorker({ broker, id, guarantee = 'at-least-once', processes = 1 }: RunEnvironment): AppProcess {
  return startApp(appFile, ['worker'], {
    MILLRACE_BROKER: broker,
    MILLRACE_ID: id,
    MILLRACE_WEB_PORT: '0',
    MILLRACE_SESSION_TIMEOUT: '6s',
    MILLRACE_PROCESSING_GUARANTEE: guarantee,
    MILLRACE_PROCESSES: String(processes),
  })
}

/** Runs a command of the app to its end and gives what it wrote. Rejects unless it exits with 0. */
export async function runCommand({ broker, id }: RunEnvironment, args: readonly string[]): Promise<string> {
  const command = startApp(appFile, args, { MILLRACE_BROKER: broker, MILLRACE_ID: id })
  const code = await command.exited
  if (code !== 0) throw new Error(`${args.join(' ')} exited with ${code}: ${command.output()}`)
  return command.stdout()
}
