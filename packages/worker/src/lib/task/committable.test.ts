import { expect, test } from 'vitest'
import { Committable } from './committable.ts'

/** Whether a wait is over one turn of the event loop later. */
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

test('stopWaiting ends present waits although the task cannot be committed, and later calls wait again', async () => {
  const committable = new Committable()
  committable.stopWaiting()
  committable.spillBegan()
  const wait = committable.wait()
  committable.stopWaiting()
  expect([await isOver(wait), committable.now, await isOver(committable.wait())]).toEqual([true, false, false])
})
