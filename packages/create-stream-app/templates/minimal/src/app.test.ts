import { testApp } from '@millrace/testing'
import { expect, test } from 'vitest'
import { app, counts, visits } from './app.ts'

test('counts the visits of each page', async () => {
  await using t = await testApp(app)
  await t.send(visits, { key: 'home', value: 'ann' })
  await t.send(visits, { key: 'home', value: 'bob' })
  await t.send(visits, { key: 'about', value: 'ann' })
  await t.settle()

  expect(counts.get('home')).toBe(2)
  expect(counts.get('about')).toBe(1)
  const answer = await t.fetch('/visits/home/')
  expect(await answer.json()).toEqual({ home: 2 })
})
