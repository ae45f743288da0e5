import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { eventually } from '@millrace/conformance'
import { bundled } from '@millrace/programs-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const appFile = await bundled(new URL('./app.ts', import.meta.url))
const execute = promisify(execFile)
const NAMES = Array.from({ length: 16 }, (_, i) => `name-${i}`)

const IN = ['netns', 'exec']

interface Asked {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Another machine, as far as addresses go: a network namespace of Linux, joined to this one by a cable. */
class OtherMachine implements Disposable {
  readonly here: string
  readonly there: string
  readonly #name: string

  private constructor(name: string, subnet: string) {
    this.#name = name
    this.here = `${subnet}.1`
    this.there = `${subnet}.2`
  }

  /** Needs the rights of root on the network; gives in words why there is none. */
  static connect(): OtherMachine | string {
    const [byte = 0] = randomBytes(1)
    const name = `mr-${randomBytes(3).toString('hex')}`
    const machine = new OtherMachine(name, `10.231.${byte}`)
    try {
      machine.#lay()
      return machine
    } catch (error) {
      machine[Symbol.dispose]()
      return error instanceof Error ? error.message : String(error)
    }
  }

  /** Runs a program there. */
  get through(): readonly string[] {
    return ['ip', ...IN, this.#name]
  }

  /** The status of each answer to requests from there, one after another. */
  async statuses(requests: readonly Asked[]): Promise<readonly number[]> {
    const { stdout } = await execute('ip', [...IN, this.#name, process.execPath, '-e', ASK, JSON.stringify(requests)])
    return JSON.parse(stdout)
  }

  #lay(): void {
    const name = this.#name
    const ip = (...words: readonly string[]): void => void execFileSync('ip', words, { stdio: 'pipe' })
    ip('netns', 'add', name)
    ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'cable', 'netns', name)
    ip('addr', 'add', `${this.here}/30`, 'dev', name)
    ip('link', 'set', name, 'up')
    ip('-n', name, 'addr', 'add', `${this.there}/30`, 'dev', 'cable')
    ip('-n', name, 'link', 'set', 'cable', 'up')
    ip('-n', name, 'link', 'set', 'lo', 'up')
  }

  /** The cable goes with the machine. */
  [Symbol.dispose](): void {
    try {
      execFileSync('ip', ['netns', 'del', this.#name], { stdio: 'pipe' })
    } catch {
      // It was not made.
    }
  }
}

const ASK = `
  (async () => {
    const statuses = []
    for (const { url, headers } of JSON.parse(process.argv[1])) statuses.push((await fetch(url, { headers })).status)
    console.log(JSON.stringify(statuses))
  })()`

const machine = OtherMachine.connect()
if (typeof machine === 'string') console.warn(`NOT TESTED with another address: ${machine}`)

describe.skipIf(typeof machine === 'string')('workers on two addresses', () => {
  let directory: string
  let workers: readonly [AppProcess, AppProcess]
  const other = (): OtherMachine => {
    if (typeof machine === 'string') throw new Error(machine)
    return machine
  }

  beforeAll(async () => {
    const { here, there, through } = other()
    directory = await mkdtemp(join(tmpdir(), 'other-address-'))
    const env = { MILLRACE_BROKER: `embedded:${directory}`, MILLRACE_WEB_PORT: '0' }
    workers = [
      startApp(appFile, ['worker'], { ...env, MILLRACE_WEB_HOST: here }),
      startApp(appFile, ['worker'], { ...env, MILLRACE_WEB_HOST: there }, { through }),
    ]
    await Promise.all(workers.map((worker) => worker.said('Worker is ready')))
    for (const name of NAMES) expect((await fetch(new URL(`/visit/?name=${name}`, workers[0].site()))).status).toBe(200)
  }, 120_000)
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.kill()))
    await rm(directory, { recursive: true, force: true })
    other()[Symbol.dispose]()
  })

  it('each passes what the other has on to it', async () => {
    for (const worker of workers)
      for (const name of NAMES)
        await eventually(
          async () => (await (await fetch(new URL(`/names/${name}/`, worker.site()))).text()).includes('"visits":1'),
          { what: `${name} at ${worker.site()}`, limitMs: 30_000 },
        )
  })

  it('the data of a worker is for its own machine, whatever a stranger says of himself', async () => {
    const [worker, far] = workers
    const at = (path: string): string => new URL(path, worker.site()).href
    const claims = [
      {},
      { 'x-forwarded-for': '127.0.0.1' },
      { forwarded: 'for=127.0.0.1' },
      { host: 'localhost' },
      { 'millrace-forwarded': new URL(far.site()).host },
    ]
    const paths = ['/stats', '/table/names/', '/topics/visits-by-name/records', '/dead-letters/', '/live/']
    const asked = paths.flatMap((path) => claims.map((headers) => ({ url: at(path), headers })))
    expect(await other().statuses(asked)).toEqual(asked.map(() => 403))
    expect(await other().statuses([{ url: at('/health/ready') }])).toEqual([200])
  })
})
