import { expect, test } from 'vitest'
import { Epoch } from './epoch.ts'

test('a seal resolves when everything before it is acknowledged', async () => {
  const first = new Epoch()
  first.added()
  const sealed = first.seal()
  const second = new Epoch(first)
  second.added()
  first.settled()
  await sealed
  const next = second.seal()
  second.settled()
  await next
})

test('after a lost send no later epoch is complete, so that its event is not committed', async () => {
  const first = new Epoch()
  first.added()
  const sealed = first.seal()
  const second = new Epoch(first)
  first.failed(new Error('refused'))
  await expect(sealed).rejects.toThrow('refused')
  // The second epoch has lost nothing of its own, and still fails.
  await expect(second.seal()).rejects.toThrow('refused')
  await expect(new Epoch(second).seal()).rejects.toThrow('refused')
})

/** Whether a seal is complete one turn of the event loop later. */
async function outcome(sealed: Promise<void>): Promise<string> {
  return Promise.race([
    sealed.then(
      () => 'complete',
      (error: Error) => error.message,
    ),
    new Promise<string>((resolve) => setImmediate(resolve, 'waits')),
  ])
}

test('a seal waits for each send of its epoch, and an epoch without sends is complete at once', async () => {
  const epoch = new Epoch()
  epoch.added()
  epoch.added()
  const sealed = epoch.seal()
  expect([await outcome(sealed), epoch.pending]).toEqual(['waits', 2])
  epoch.settled()
  expect([await outcome(sealed), epoch.pending]).toEqual(['waits', 1])
  epoch.settled()
  expect([await outcome(sealed), await outcome(epoch.seal()), epoch.pending]).toEqual(['complete', 'complete', 0])
  expect(await outcome(new Epoch(epoch).seal())).toBe('complete')
})

test('sends acknowledged before the seal do not complete it, and earlier failures reject it', async () => {
  const epoch = new Epoch()
  epoch.added()
  epoch.settled()
  epoch.added()
  expect(await outcome(epoch.seal())).toBe('waits')
  const failed = new Epoch()
  failed.added()
  failed.added()
  failed.failed(new Error('the first'))
  failed.failed(new Error('the second'))
  expect([failed.pending, failed.error?.message, failed.abandoned]).toEqual([0, 'the first', false])
  expect(await outcome(failed.seal())).toBe('the first')
})

test('an epoch of a lost task is never complete, at whatever point the task was lost, and keeps the first reason', async () => {
  const sealed = new Epoch()
  sealed.added()
  const outcomeOfSeal = outcome(sealed.seal())
  sealed.abandon(new Error('lost'))
  sealed.settled()
  expect([await outcomeOfSeal, sealed.abandoned]).toEqual(['lost', true])
  const before = new Epoch()
  expect(before.abandoned).toBe(false)
  before.added()
  before.failed(new Error('refused'))
  before.abandon(new Error('lost'))
  expect([await outcome(before.seal()), before.error?.message]).toEqual(['refused', 'refused'])
})

test('a seal keeps no earlier epoch in memory, and an earlier error does not replace its own', async () => {
  const first = new Epoch()
  const second = new Epoch(first)
  second.added()
  const sealed = second.seal()
  // The outcome of the first was known when the second was sealed.
  first.abandon(new Error('too late'))
  second.settled()
  expect([await outcome(sealed), await outcome(second.seal())]).toEqual(['complete', 'complete'])
  const third = new Epoch(first)
  third.added()
  third.failed(new Error('its own'))
  expect(await outcome(third.seal())).toBe('its own')
})
