import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { bundled } from '@millrace/programs-for-tests'
import { RUN_VARIABLE, type VerifierRun } from './verifier-run.ts'

const generatorFile = fileURLToPath(await bundled(new URL('../children/generator.ts', import.meta.url)))

export interface GeneratorProcess {
  readonly sent: number
  /** Resolves when all records are sent and acknowledged; rejects when that has failed. */
  readonly done: Promise<void>
  kill(): void
}

/** Starts to send the run's records, from a process of its own: none of ours may ever be frozen or hold it up. */
export function startGenerator(run: VerifierRun): GeneratorProcess {
  const child = spawn(process.execPath, [generatorFile], {
    env: { ...process.env, [RUN_VARIABLE]: JSON.stringify(run) },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let sent = 0
  let isDone = false
  let errors = ''
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said: { sent?: number; done?: boolean } = JSON.parse(line)
    sent = said.sent ?? sent
    isDone ||= said.done === true
  })
  child.stderr.on('data', (chunk: Buffer) => (errors = `${errors}${chunk.toString()}`.slice(-5000)))
  const done = once(child, 'close').then(() => {
    if (!isDone) throw new Error(`The generator ended after ${sent} records:\n${errors}`)
  })
  // Awaited when the chaos is over; it may have failed long before.
  done.catch(() => {})
  return {
    get sent() {
      return sent
    },
    done,
    kill: () => void child.kill('SIGKILL'),
  }
}
