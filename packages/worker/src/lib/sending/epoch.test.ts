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

test('after a send that is lost no later cut is complete: its event must not be committed', async () => {
  const first = new Epoch()
  first.added()
  const sealed = first.seal()
  const second = new Epoch(first)
  first.failed(new Error('refused'))
  await expect(sealed).rejects.toThrow('refused')
  // Nothing of its own is missing, and yet.
  await expect(second.seal()).rejects.toThrow('refused')
  await expect(new Epoch(second).seal()).rejects.toThrow('refused')
})
