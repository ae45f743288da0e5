import { expect, test } from 'vitest'
import { NOT_NOW } from '../environment/not-now.ts'
import { SendBudget } from './send-budget.ts'

test('a sender that waits for room continues when there is room again, and not before', async () => {
  const blocked: string[] = []
  const budget = new SendBudget(100, {
    block: (reason) => void blocked.push(`block ${reason === NOT_NOW.collector}`),
    unblock: (reason) => void blocked.push(`unblock ${reason === NOT_NOW.collector}`),
  })
  await budget.room()
  budget.count(101)
  const gone: string[] = []
  const wait = async (name: string): Promise<void> => {
    await budget.room()
    gone.push(name)
  }
  const waiting = [wait('first'), wait('second')]
  // There is room again only when a quarter is free.
  budget.count(-20)
  await new Promise((resolve) => setImmediate(resolve))
  expect(gone).toEqual([])
  budget.count(-20)
  await Promise.all(waiting)
  expect(gone).toEqual(['first', 'second'])
  expect(blocked).toEqual(['block true', 'unblock true'])
  budget.count(40)
  const again = wait('third')
  budget.count(-60)
  await again
})

test('a woken sender waits again if another one has taken the room', async () => {
  const budget = new SendBudget(100, undefined)
  budget.count(200)
  let gone = false
  const waiting = budget.room().then(() => void (gone = true))
  budget.count(-200)
  budget.count(200)
  await new Promise((resolve) => setImmediate(resolve))
  expect(gone).toBe(false)
  budget.count(-200)
  await waiting
})
