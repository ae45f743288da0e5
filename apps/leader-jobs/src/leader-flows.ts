import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@millrace/conformance'
import { systemClock } from '@millrace/core'
import { startApp, type AppProcess } from '@millrace/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'

const appFile = new URL('./app.ts', import.meta.url)

/** A line of the file: who ran which slot. */
interface Written {
  readonly pid: number
  readonly slot: string
}

/** Runs are over within this time after their slot, so that stopping a worker after it cuts none short. */
const RUN_MS = 400

const clock = systemClock()

/** What must hold on every broker, with workers that are processes. */
export function leaderFlows(broker: () => string): void {
  let directory: string
  let id: string
  const workers = new Set<AppProcess>()

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'leader-jobs-'))
    id = `leader-jobs-${randomUUID()}`
  })
  afterEach(async () => {
    await Promise.all([...workers].map((worker) => worker.kill()))
    workers.clear()
    await rm(directory, { recursive: true, force: true })
  })

  function start(): AppProcess {
    const worker = startApp(appFile, ['worker'], {
      LEADER_JOBS_FILE: join(directory, 'runs'),
      MILLRACE_BROKER: broker(),
      MILLRACE_ID: id,
      MILLRACE_WEB_ENABLED: 'false',
      MILLRACE_SESSION_TIMEOUT: '6s',
    })
    workers.add(worker)
    return worker
  }

  async function written(): Promise<readonly Written[]> {
    let text: string
    try {
      text = await readFile(join(directory, 'runs'), 'utf8')
    } catch {
      return []
    }
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split(' '))
      .map(([pid, slot]) => ({ pid: Number(pid), slot: slot ?? '' }))
  }

  /** Waits for so many more runs that satisfy `wanted`. */
  async function more(
    count: number,
    what: string,
    wanted: (run: Written) => boolean = () => true,
  ): Promise<readonly Written[]> {
    const before = (await written()).length
    return eventually(
      async () => {
        const runs = await written()
        return runs.slice(before).filter(wanted).length >= count && runs
      },
      { what, limitMs: 60_000 },
    )
  }

  /** The leader, just after a run of it has ended. */
  async function leader(): Promise<AppProcess> {
    const { pid } = (await more(1, 'a run')).at(-1) ?? { pid: 0 }
    await clock.sleep(RUN_MS)
    const found = [...workers].find((worker) => worker.pid === pid)
    if (found === undefined) throw new Error(`Process ${pid}, which ran a job, is none of the workers.`)
    return found
  }

  function eachOnce(runs: readonly Written[]): void {
    const slots = runs.map(({ slot }) => slot)
    expect(slots.filter((slot, i) => slots.indexOf(slot) !== i)).toEqual([])
  }

  test('a leader that is stopped over slots and continued runs none of them twice', async () => {
    start()
    start()
    await more(3, 'runs of a first leader')
    const stopped = await leader()
    stopped.signal('SIGSTOP')
    await more(4, 'runs of the next leader', ({ pid }) => pid !== stopped.pid)
    stopped.signal('SIGCONT')
    const runs = await more(6, 'runs after it has woken')
    eachOnce(runs)
    const others = runs.findIndex(({ pid }) => pid !== stopped.pid)
    expect(runs.slice(others, others + 8).map(({ pid }) => pid)).not.toContain(stopped.pid)
  }, 120_000)

  test('a leader that sleeps for less than its session goes on, and each slot runs once', async () => {
    start()
    start()
    await more(2, 'runs of a leader')
    const stopped = await leader()
    stopped.signal('SIGSTOP')
    await clock.sleep(2500)
    stopped.signal('SIGCONT')
    const runs = await more(3, 'runs after it has woken')
    eachOnce(runs)
  }, 120_000)

  test('when leaders are killed or stopped, another goes on, and each slot runs once', async () => {
    start()
    start()
    await more(2, 'runs of a first leader')
    const first = await leader()
    first.signal('SIGKILL')
    start()
    await more(3, 'runs after the first has died', ({ pid }) => pid !== first.pid)
    const second = await leader()
    expect(await second.stop()).toBe(0)
    eachOnce(await more(3, 'runs after the second has left', ({ pid }) => pid !== second.pid))
  }, 120_000)
}
