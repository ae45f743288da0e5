import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, test } from 'vitest'
import { watchStorages } from './watch-storages.ts'

/** How many storages a promise carries; Node 24 has them in a frame instead. */
function carried(): number {
  return Object.getOwnPropertySymbols(Promise.resolve()).filter(({ description }) => description === 'kResourceStore')
    .length
}

test('storages that were entered are disabled, and the class is as it was', () => {
  const { run, enterWith } = AsyncLocalStorage.prototype
  const before = carried()
  const [ran, entered] = [new AsyncLocalStorage<string>(), new AsyncLocalStorage<string>()]
  const disable = watchStorages()
  expect(ran.run('in the course of it', (what) => `${ran.getStore()} ${what}`, 'and this')).toBe(
    'in the course of it and this',
  )
  entered.enterWith('from here on')
  expect(entered.getStore()).toBe('from here on')
  disable()
  expect(entered.getStore()).toBeUndefined()
  expect(carried()).toBe(before)
  expect(AsyncLocalStorage.prototype).toMatchObject({ run, enterWith })
})
