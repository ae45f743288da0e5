import { bundled } from '@millrace/programs-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'

const appFile = await bundled(new URL('./app.ts', import.meta.url))

/** One run of the app: where, and under which id, by which runs on one broker are kept apart. */
export interface AppRun {
  readonly broker: string
  readonly id: string
  readonly guarantee: 'at-least-once' | 'exactly-once'
}

/** A worker as a process of its own; resolves when it is ready. */
export async function startWorker(run: AppRun, expiredCards: readonly string[]): Promise<AppProcess> {
  const worker = launch(run, ['worker'], { EXPIRED_CARDS: expiredCards.join(',') })
  await worker.said('Worker is ready')
  return worker
}

export interface Ended {
  readonly code: number | null
  readonly output: string
}

/** A command of the app, run to its end. */
export async function command(run: AppRun, words: readonly string[]): Promise<Ended> {
  const process = launch(run, words, {})
  const code = await process.exited
  return { code, output: process.stdout() }
}

/** What a command says with `--json`; rejects unless it exits with 0. */
export async function commandJson(run: AppRun, words: readonly string[]): Promise<unknown> {
  const process = launch(run, [...words, '--json'], {})
  const code = await process.exited
  if (code !== 0) throw new Error(`${words.join(' ')} exited with ${code}: ${process.output()}`)
  return JSON.parse(process.stdout())
}

function launch(
  { broker, id, guarantee }: AppRun,
  words: readonly string[],
  env: Readonly<Record<string, string>>,
): AppProcess {
  return startApp(appFile, words, {
    MILLRACE_BROKER: broker,
    MILLRACE_ID: id,
    MILLRACE_WEB_ENABLED: 'false',
    MILLRACE_PROCESSING_GUARANTEE: guarantee,
    ...env,
  })
}
