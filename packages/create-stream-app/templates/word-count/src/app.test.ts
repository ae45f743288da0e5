import { testApp } from '@millrace/testing'
import { expect, test } from 'vitest'
import { app, counts, posts } from './app.ts'
import { wordsOf } from './words.ts'

test('finds words', () => {
  expect(wordsOf("It's late, he said: LATE!")).toEqual(["it's", 'late', 'he', 'said', 'late'])
})

test('counts words', async () => {
  await using t = await testApp(app)
  await t.send(posts, 'a b a')
  await t.settle()
  expect(counts.get('a')).toBe(2)
  expect(counts.get('b')).toBe(1)
  expect(counts.get('c')).toBe(0)
})

test('answers for a word on any worker', async () => {
  await using t = await testApp(app, { partitions: 8 })
  await t.worker()
  await t.send(posts, 'thar she blows')
  await t.settle()
  for (const word of ['thar', 'she', 'blows']) {
    expect(await (await t.fetch(`/count/${word}/`)).json()).toEqual({ [word]: 1 })
    expect(await (await t.fetch(`/count/?word=${word}`)).json()).toEqual({ [word]: 1 })
  }
})

test('the daily job runs at 8 pm in Los Angeles', async () => {
  await using t = await testApp(app, { now: new Date('2026-03-03T03:59:30Z') })
  const daily = () => app.scheduler.jobs().find(({ name }) => name === 'everyDayAt8pmPacific')
  expect(daily()?.nextRun?.toISOString()).toBe('2026-03-03T04:00:00.000Z')
  await t.clock.advance('1m')
  expect(daily()?.runs).toBe(1)
})
