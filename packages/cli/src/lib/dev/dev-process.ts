import { spawn, type ChildProcess } from 'node:child_process'
import type { Clock } from '@millrace/core'
import { DEV_VARIABLE, type DevReport } from './dev-worker.ts'

/** How long a worker may take to stop before it is killed. Its uncommitted work is then repeated. */
const STOP_LIMIT_MS = 5_000

/** One process of the app under `millrace dev`. */
export class DevProcess {
  /** Resolves once the app runs; never if the start fails. */
  readonly ready: Promise<Extract<DevReport, { kind: 'ready' }>>
  /** Resolves with the exit code or the signal at the end of the process. */
  readonly ended: Promise<number | string>
  readonly #child: ChildProcess
  readonly #clock: Clock
  readonly #loaded: Promise<unknown>
  #isStarted = false

  /** Starts this program again with the same words; the variable makes the child the worker. */
  constructor(words: readonly string[], clock: Clock) {
    this.#clock = clock
    this.#child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', ...words], {
      env: { ...process.env, [DEV_VARIABLE]: '1' },
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    })
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('exit', (code, signal) => resolve(signal ?? code ?? 1))
    })
    // The starter awaits it, perhaps only after it has failed.
    this.ended.catch(() => undefined)
    this.ready = this.#reported('ready')
    this.#loaded = this.#reported('loaded')
  }

  /** Lets the process load the app once it has loaded everything else. */
  start(): void {
    this.#isStarted = true
    void this.#loaded.then(() => this.#child.connected && this.#child.send('go'))
  }

  #reported<K extends DevReport['kind']>(kind: K): Promise<Extract<DevReport, { kind: K }>> {
    const is = (report: DevReport): report is Extract<DevReport, { kind: K }> => report.kind === kind
    return new Promise((resolve) => {
      this.#child.on('message', (report: DevReport) => {
        if (is(report)) resolve(report)
      })
    })
  }

  /** Stops the process within 5 s, or kills it. Resolves to whether the stop was clean. */
  async stop(): Promise<boolean> {
    if (!this.#isStarted) {
      this.#child.kill('SIGKILL')
      await this.ended
      return true
    }
    this.#child.kill('SIGTERM')
    const limit = new AbortController()
    const inOrder = await Promise.race([
      this.ended.then(() => true),
      this.#clock.sleep(STOP_LIMIT_MS, limit.signal).then(
        () => false,
        () => true,
      ),
    ])
    limit.abort()
    if (!inOrder) this.#child.kill('SIGKILL')
    await this.ended
    return inOrder
  }
}
