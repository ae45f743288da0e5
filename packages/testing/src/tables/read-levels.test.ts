import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

async function counted() {
  const app = createApp({ id: 'levels', commitInterval: '1s', web: { routeTimeout: '10s' } })
  const words = app.topic('words', { key: 'string', value: 'string', partitions: 2 })
  const counts = app.table('counts', { key: 'string', value: 'number' })
  const minutes = counts.tumbling('1m')
  const seen = app.setTable('seen', { key: 'string', value: 'string' })
  const rates = app.globalTable('rates', { key: 'string', value: 'number' })
  app.agent('count', words, async (stream) => {
    for await (const { key, value } of stream.events()) {
      counts.update(key, (n = 0) => n + 1)
      minutes.update(key, (n = 0) => n + 1)
      seen.add(key, value)
    }
  })
  const t = await testApp(app)
  const send = async (): Promise<void> => t.send(words, { key: 'milk', value: 'x' })
  const ask = async (path: string): Promise<readonly [number, unknown]> => {
    const response = await t.fetch(`/table/${path}`)
    return [response.status, JSON.parse(await response.text())]
  }
  await send()
  await t.settle()
  const [{ partition } = { partition: -1 }] = t.sent(words)
  return { t, rates, send, ask, partition }
}

test('a read sees finished events, or what is committed', async () => {
  const { t, ask } = await counted()
  await using _ = t
  expect(await ask('counts/milk/')).toEqual([200, 1])
  expect(await ask('counts/milk/?read=finished')).toEqual([200, 1])
  for (const path of ['counts/milk/', 'counts-tumbling-1m/milk/'])
    expect((await ask(`${path}?read=committed`))[0]).toBe(404)
  expect(await ask('seen/milk/?read=committed')).toEqual([200, []])
  expect(await ask('counts/?prefix=m&read=committed')).toEqual([200, { rows: [] }])
  expect(await ask('counts/?prefix=m')).toEqual([200, { rows: [{ key: 'milk', value: 1 }] }])
  await t.advance('1s')
  expect(await ask('counts/milk/?read=committed')).toEqual([200, 1])
  expect(await ask('counts-tumbling-1m/milk/?read=committed')).toEqual([200, [expect.objectContaining({ value: 1 })]])
  expect(await ask('seen/milk/?read=committed')).toEqual([200, ['x']])
  expect(await ask('counts/?read=committed')).toEqual([200, { rows: [{ key: 'milk', value: 1 }] }])
})

test('a read waits for an event to be finished or committed', async () => {
  const { t, send, ask, partition } = await counted()
  await using _ = t
  const at = (offset: number): string => `after=words/${partition}@${offset}`
  expect(await ask(`counts/milk/?${at(0)}`)).toEqual([200, 1])
  const committed = ask(`counts/milk/?read=committed&${at(0)}`)
  const later = ask(`counts/milk/?${at(2)}`)
  await send()
  await send()
  await t.advance('2s')
  expect(await later).toEqual([200, 3])
  expect((await committed)[0]).toBe(200)
  const never = ask(`counts/milk/?${at(3)}`)
  await t.advance('5s')
  expect(await never).toEqual([
    504,
    { error: expect.stringContaining(`words/${partition} before offset 3 are finished; the read waited for 3`) },
  ])
})

test('what makes no sense is refused, and the answer says what is taken', async () => {
  const { t, ask, partition } = await counted()
  await using _ = t
  const refused = async (path: string, text: string): Promise<void> =>
    expect(await ask(path)).toEqual([400, { error: expect.stringContaining(text) }])
  await refused('counts/milk/?read=dirty', 'it takes finished, committed or standby')
  await refused('counts/?prefix=m&read=dirty', 'it takes finished or committed')
  await refused('counts/milk/watch?read=finished', 'watches show what is committed')
  for (const bad of ['words', 'words/1', 'words/1@x', 'words@1', '/1@1'])
    await refused(`counts/milk/?after=${bad}`, 'topic/partition@offset')
  await refused(`counts/milk/?after=words/${1 - partition}@0`, `reads words/${partition}`)
  await refused('counts/?prefix=m&after=words/0@0', 'a range')
  await refused('rates/milk/?after=words/0@0', 'global table')
})
