import { expect, test } from 'vitest'
import { Committable } from './committable.ts'

/** Whether a wait is over, one turn later. */
async function isOver(wait: Promise<void>): Promise<boolean> {
  return Promise.race([wait.then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))])
}

test('a task can be committed until an event spills, and again when the last such event has ended', async () => {
  const committable = new Committable()
  expect([committable.now, await isOver(committable.wait())]).toEqual([true, true])
  committable.spillBegan()
  committable.spillBegan()
  const waits = [committable.wait(), committable.wait()]
  expect(committable.now).toBe(false)
  committable.spillEnded()
  expect([committable.now, ...(await Promise.all(waits.map(isOver)))]).toEqual([false, false, false])
  committable.spillEnded()
  expect([committable.now, ...(await Promise.all(waits.map(isOver)))]).toEqual([true, true, true])
})

test('whoever is not to wait any longer goes on though the task cannot be committed, and the next one waits', async () => {
  const committable = new Committable()
  committable.stopWaiting()
  committable.spillBegan()
  const wait = committable.wait()
  committable.stopWaiting()
  expect([await isOver(wait), committable.now, await isOver(committable.wait())]).toEqual([true, false, false])
})
