import { eventually } from '@millrace/conformance'
import type { Transport } from '@millrace/core/driver'
import { describe, expect, test } from 'vitest'
import type { FaultyProxy } from './faulty-proxy.ts'
import type { LateRequest } from './late-request.ts'
import { type FireRun, fireRun } from './fire-run.ts'
import { EXACT, type FireVerdict, NOTHING_LOST, tellFigures } from './verdict.ts'
import type { WorkerProcess } from '@millrace/verifier'

const LIMIT = { timeout: 90_000 }
const KEYS = 64

/** Rows of a worker that reach the broker, behind a proxy, when its successor has begun. */
export function lateRowsTests(
  { outside, brokers }: { readonly outside: () => Transport; readonly brokers: string },
  proxy: FaultyProxy,
): void {
  // Side by side: most of it is waiting for sessions to end.
  describe.concurrent('a worker fell asleep while its rows were on their way', () => {
    test('its successor finds them with its next commit, and puts newer ones over them', LIMIT, async () => {
      await using run = await openRun('at-least-once')
      const { asleep, successor } = await overtake(run)
      expect(await latest(run)).toEqual(counts(3))
      // One row is enough to see that there are others before it.
      await run.send(1)
      await eventually(async () => (await latest(run)).filter((count) => count === 4).length === KEYS - 1, {
        what: 'the older rows to be overwritten',
        limitMs: 20_000,
      })
      expect(successor.log.map(({ message }) => message)).toContainEqual(
        expect.stringMatching(new RegExp(`^Older rows of ${KEYS - 1} keys in ${run.changelog}/0 overwrote newer ones`)),
      )
      await end(run, asleep)
      const verdict = await run.verdict()
      // The log shows what was undone.
      expect(verdict.backward.length).toBe(KEYS)
      expect(verdict).toMatchObject({ lost: [], short: [] })
      tellFigures('late rows, and a successor that goes on', verdict)
    })

    test(
      'at least once, they count when the successor dies before its next commit: the window that is left',
      LIMIT,
      async () => {
        await using run = await openRun('at-least-once')
        const verdict = await overtakeAndDie(run)
        // Every record has its copy; the counts miss the round that the late rows were older than.
        expect(verdict.lost).toEqual([])
        expect(verdict.short.length).toBe(KEYS)
        expect(await latest(run)).toEqual(counts(4))
        tellFigures('late rows, and a successor that dies', verdict)
      },
    )

    test('it does not send them again itself, when it is a member again', LIMIT, async () => {
      await using run = await openRun('at-least-once')
      const { asleep, late } = await fallAsleep(run)
      const successor = run.start()
      await run.untilDone()
      asleep.thaw()
      await eventually(() => asleep.changes.some(({ lost }) => lost.length > 0), { what: 'it to see its loss' })
      await eventually(() => asleep.changes.at(-1)?.lost.length === 0, { what: 'it to be a member again' })
      await run.send(KEYS)
      await run.untilDone()
      expect(await latest(run)).toEqual(counts(4))
      // From now on it knows that its request has come to nothing, and has a lease.
      late.drop()
      await eventually(async () => (await asleep.report()).stats?.pendingSends.bytes === 0, {
        what: 'it to have no pending sends',
      })
      expect(await latest(run)).toEqual(counts(4))
      expect(successor.alive).toBe(true)
      await end(run, asleep)
      expect(await run.verdict()).toMatchObject(NOTHING_LOST)
    })

    test('exactly once, the broker refuses them', LIMIT, async () => {
      await using run = await openRun('exactly-once')
      const verdict = await overtakeAndDie(run)
      expect(verdict).toMatchObject(EXACT)
      expect(await latest(run)).toEqual(counts(5))
      tellFigures('late rows of a transaction', verdict)
    })
  })

  function openRun(processingGuarantee: 'at-least-once' | 'exactly-once'): Promise<FireRun> {
    return fireRun({
      outside: outside(),
      brokers,
      partitions: 1,
      settings: { processingGuarantee },
    })
  }

  /** Two rounds are counted; the rows of the third are held back. */
  async function fallAsleep(run: FireRun): Promise<{ readonly asleep: WorkerProcess; readonly late: LateRequest }> {
    const [asleep] = await run.startReady(1)
    if (asleep === undefined) throw new Error('no worker')
    await run.send(2 * KEYS)
    await run.untilDone()
    const late = proxy.hold(run.changelog)
    await run.send(KEYS)
    await eventually(() => late.held, { what: 'the rows to be on their way' })
    asleep.freeze()
    return { asleep, late }
  }

  /** A successor counts the third round and a fourth one, and then the rows that were held back arrive. */
  async function overtake(run: FireRun): Promise<Overtaken> {
    const { asleep, late } = await fallAsleep(run)
    const successor = run.start()
    await run.untilDone()
    await run.send(KEYS)
    await run.untilDone()
    expect(await latest(run)).toEqual(counts(4))
    late.release()
    await eventually(() => late.answered, { what: 'the broker to answer the late request' })
    return { asleep, successor }
  }

  /** The successor dies before its next commit; a third worker recovers and counts a fifth round. */
  async function overtakeAndDie(run: FireRun): Promise<FireVerdict> {
    const { asleep, successor } = await overtake(run)
    await successor.kill()
    await run.startReady(1)
    await run.send(KEYS)
    await run.untilDone()
    await end(run, asleep)
    return run.verdict()
  }

  /** Counts of the keys, as whoever recovers now would have them. */
  async function latest(run: FireRun): Promise<readonly number[]> {
    const rows = await run.read(run.changelog)
    return [...new Map(rows.map(({ key, value }) => [String(key), Number(String(value))])).values()]
  }
}

interface Overtaken {
  readonly asleep: WorkerProcess
  readonly successor: WorkerProcess
}

function counts(each: number): readonly number[] {
  return Array.from({ length: KEYS }, () => each)
}

/** All that still run end cleanly, the one that slept too. */
async function end(run: FireRun, asleep: WorkerProcess): Promise<void> {
  asleep.thaw()
  await run.untilDone()
  for (const code of await run.stopAll()) expect(code).toBe(0)
}
