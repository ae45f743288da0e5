import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@millrace/conformance'
import { systemClock } from '@millrace/core'
import { bundled } from '@millrace/programs-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'

const appFile = await bundled(new URL('./app.ts', import.meta.url))

/** A line of the file: who ran which slot of which job. */
interface Written {
  readonly pid: number
  readonly job: string
  readonly slot: string
}

/** A worker that is stopped between two runs is stopped within this time. */
const BETWEEN_MS = 200
/** A killed worker is missed after it, and one that sleeps for longer has lost the lead. */
const SESSION_MS = 4000

const clock = systemClock()

/** What must hold on every broker, with workers that are processes of one group: each test goes on where the one before ended. */
export function leaderFlows(broker: () => string, env: Readonly<Record<string, string>> = {}): void {
  const id = `leader-jobs-${randomUUID()}`
  const workers = new Set<AppProcess>()
  let ranByHand = 0
  let directory: string

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'leader-jobs-'))
    await Promise.all([start(), start()])
  })
  afterAll(async () => {
    await Promise.all([...workers].map((worker) => worker.kill()))
    await rm(directory, { recursive: true, force: true })
  })

  async function start(): Promise<AppProcess> {
    const worker = startApp(appFile, ['worker', '--web-port', '0'], {
      LEADER_JOBS_FILE: join(directory, 'runs'),
      MILLRACE_BROKER: broker(),
      MILLRACE_ID: id,
      MILLRACE_SESSION_TIMEOUT: `${SESSION_MS}ms`,
      ...env,
    })
    workers.add(worker)
    await worker.said('Worker is ready')
    return worker
  }

  interface JobShown {
    readonly name: string
    readonly paused: boolean
    readonly skipped: number
    readonly onLeader: boolean
    /** Runs that are under way, or not noted yet. */
    readonly active: number
    readonly nextRun?: string
  }

  async function jobs(worker: AppProcess): Promise<readonly JobShown[]> {
    return JSON.parse(await (await fetch(new URL('/jobs/', worker.site()))).text())
  }

  async function job(worker: AppProcess, name: string): Promise<JobShown> {
    const found = (await jobs(worker)).find((one) => one.name === name)
    if (found === undefined) throw new Error(`There is no job ${name}.`)
    return found
  }

  async function act(worker: AppProcess, name: string, verb: 'run' | 'pause' | 'resume'): Promise<unknown> {
    const headers = { 'millrace-action': 'test' }
    return (await fetch(new URL(`/jobs/${name}/${verb}/`, worker.site()), { method: 'POST', headers })).json()
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
      .map(([pid, job, slot]) => ({ pid: Number(pid), job: job ?? '', slot: slot ?? '' }))
  }

  async function runsOf(job: string): Promise<readonly Written[]> {
    return (await written()).filter((run) => run.job === job)
  }

  /** Waits for so many more runs of the leader's cron job by workers that `by` names. */
  async function more(
    count: number,
    what: string,
    { by = () => true, limitMs = 60_000 }: { readonly by?: (pid: number) => boolean; readonly limitMs?: number } = {},
  ): Promise<readonly Written[]> {
    const before = (await runsOf('leader-cron')).length
    return eventually(
      async () => {
        const runs = await runsOf('leader-cron')
        return runs.slice(before).filter(({ pid }) => by(pid)).length >= count && runs
      },
      { what, limitMs },
    )
  }

  /** The leader, at a moment at which all its runs are noted and none is about to begin: stopping it cuts none short. */
  async function leader(): Promise<AppProcess> {
    const { pid } = (await more(1, 'a run')).at(-1) ?? { pid: 0 }
    const found = [...workers].find((worker) => worker.pid === pid)
    if (found === undefined) throw new Error(`Process ${pid}, which ran a job, is none of the workers.`)
    const isBetweenRuns = ({ onLeader, active, nextRun }: JobShown): boolean =>
      !onLeader || (active === 0 && (nextRun === undefined || Date.parse(nextRun) - clock.now() > BETWEEN_MS))
    await eventually(async () => (await jobs(found)).every(isBetweenRuns), {
      what: 'the leader to be between two runs',
    })
    return found
  }

  /**
   * The leader, stopped, after a few runs of the next. A process that is stopped while it writes to the embedded log holds
   * up all others (its README says so): then it is let go, and the next leader is stopped instead.
   */
  async function stoppedAndFollowed(): Promise<{ readonly stopped: AppProcess; readonly before: number }> {
    for (let attempt = 1; ; attempt++) {
      const stopped = await leader()
      const before = (await runsOf('leader-cron')).length
      stopped.signal('SIGSTOP')
      try {
        await more(4, 'runs of the next leader', {
          by: (pid) => pid !== stopped.pid,
          limitMs: 5 * SESSION_MS,
        })
        return { stopped, before }
      } catch (error) {
        stopped.signal('SIGCONT')
        if (attempt === 3) throw error
      }
    }
  }

  /** No slot of a leader's job ran twice, whoever led; and its task ran once in all. */
  async function eachOnce(): Promise<void> {
    for (const job of ['leader-cron', 'leader-timer']) {
      const slots = (await runsOf(job)).map(({ slot }) => slot)
      expect(slots.filter((slot, i) => slots.indexOf(slot) !== i)).toEqual([])
    }
    expect(await runsOf('leader-task')).toHaveLength(1 + ranByHand)
  }

  test('Tasks, timers and cron jobs run on every worker unless they are for the leader only', async () => {
    const pids = [...workers].map(({ pid }) => pid)
    for (const job of ['timer', 'cron'])
      for (const pid of pids)
        await eventually(async () => (await runsOf(job)).filter((run) => run.pid === pid).length >= 2, {
          what: `two runs of ${job} on worker ${pid}`,
        })
    expect((await runsOf('task')).map(({ pid }) => pid).toSorted()).toEqual(pids.toSorted())
  })

  test('A task, a timer and a cron job for the leader run on one worker of the group', async () => {
    await more(3, 'runs of the leader')
    const [first] = await runsOf('leader-task')
    for (const job of ['leader-task', 'leader-timer', 'leader-cron'])
      expect(new Set((await runsOf(job)).map(({ pid }) => pid))).toEqual(new Set([first?.pid]))
    await eachOnce()
  })

  test('Any worker runs, pauses and resumes a job, wherever it runs', async () => {
    const [leading, ...others] = [await leader(), ...workers]
    const other = others.find((worker) => worker !== leading)
    if (other === undefined) throw new Error('There is one worker only.')
    for (const worker of [leading, other]) {
      const before = (await runsOf('leader-task')).length
      expect(await act(worker, 'leader-task', 'run')).toEqual({ result: 'done' })
      expect((await runsOf('leader-task')).slice(before).map(({ pid }) => pid)).toEqual([leading.pid])
    }
    ranByHand = 2
    for (const [asked, name] of [
      [other, 'leader-cron'],
      [leading, 'cron'],
    ] as const) {
      expect(await act(asked, name, 'pause')).toEqual({ result: 'paused' })
      for (const worker of [leading, other])
        await eventually(async () => (await job(worker, name)).paused, { what: `${name} to be paused` })
      const runs = await runsOf(name)
      const { skipped } = await job(leading, name)
      await eventually(async () => (await job(leading, name)).skipped >= skipped + 2, {
        what: 'two slots to be skipped',
      })
      expect(await runsOf(name)).toEqual(runs)
    }
    // The other way round: by the one that was not asked to pause.
    expect(await act(leading, 'leader-cron', 'resume')).toEqual({ result: 'resumed' })
    await more(2, 'runs after the pause')
  })

  test('a leader that sleeps for less than its session goes on, and each slot runs once', async () => {
    const stopped = await leader()
    stopped.signal('SIGSTOP')
    await clock.sleep(SESSION_MS / 2)
    stopped.signal('SIGCONT')
    await more(3, 'runs after it has woken')
    await eachOnce()
  }, 120_000)

  test('a leader that is stopped over slots and continued runs none of them twice', async () => {
    const { stopped, before } = await stoppedAndFollowed()
    stopped.signal('SIGCONT')
    const runs = (await more(5, 'runs after it has woken')).slice(before)
    await eachOnce()
    const others = runs.findIndex(({ pid }) => pid !== stopped.pid)
    expect(runs.slice(others, others + 8).map(({ pid }) => pid)).not.toContain(stopped.pid)
  }, 120_000)

  test('When the leader dies or leaves, its jobs move to another worker, and no slot runs twice', async () => {
    const first = await leader()
    first.signal('SIGKILL')
    workers.delete(first)
    const [third] = await Promise.all([
      start(),
      more(3, 'runs after the first has died', { by: (pid) => pid !== first.pid }),
    ])
    // What was paused stays so, on workers that come later.
    expect(await job(third, 'cron')).toMatchObject({ paused: true })
    const second = await leader()
    expect(await second.stop()).toBe(0)
    await more(2, 'runs after the second has left', { by: (pid) => pid !== second.pid })
    await eachOnce()
    // A leader's timer goes on at the rate of the one before, and each worker's own jobs with that worker.
    expect((await runsOf('leader-timer')).at(-1)?.pid).not.toBe(first.pid)
    expect((await runsOf('task')).map(({ pid }) => pid)).toContain(third.pid)
    expect((await runsOf('cron')).map(({ pid }) => pid)).not.toContain(third.pid)
  }, 120_000)
}
