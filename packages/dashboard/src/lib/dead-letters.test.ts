import { MillraceError } from '@millrace/core'
import type { DeadLetter, DeadLetters } from '@millrace/core/operations'
import { expect, it } from 'vitest'
import { mustReadOnce, smallSite } from './fixtures/small-site.fixture.ts'

const letter: DeadLetter = {
  agent: 'counter',
  topic: 'app-counter-dlq',
  partition: 0,
  offset: 12,
  source: { topic: 'posts', partition: 1, offset: 7, timestamp: 1_000 },
  due: undefined,
  failure: { code: '', class: 'TypeError', message: 'no', attempts: 4 },
  failedAt: 2_000,
  replayed: false,
  stack: 'TypeError: no\n    at secret.ts:1',
  key: { as: 'none', value: undefined },
  value: { as: 'string', value: 'milk' },
  headers: [['kind', Buffer.from('test')]],
}

function letters(asked: unknown[]): DeadLetters {
  return {
    list: async (options) => {
      asked.push([options?.newest, options?.most])
      const { agent, topic } = letter
      return [{ agent, topic, letters: 1, waiting: 1, complete: true, newest: [letter] }]
    },
    show: async (agent, which) =>
      agent === 'counter' && typeof which === 'object' && which.offset === 12 ? letter : undefined,
    replay: async (agent, which) => {
      asked.push([agent, which])
      if (agent !== 'counter') throw new MillraceError('AGENT_MISSING', `There is no agent "${agent}".`)
      return { replayed: 1, before: 0, refused: { count: 0, first: [] } }
    },
  }
}

it('lists dead letters and shows one, its stack only to callers who may act', async () => {
  const asked: unknown[] = []
  const { get } = smallSite({ deadLetters: letters(asked), settings: { admin: false } })
  expect(await (await get('/dead-letters/')).json()).toMatchObject([
    { agent: 'counter', waiting: 1, newest: [{ offset: 12 }] },
  ])
  expect(asked).toEqual([[50, 10_000]])
  expect(await (await get('/dead-letters/counter/0/12/')).json()).toMatchObject({
    value: { as: 'string', value: 'milk' },
    headers: [['kind', 'test']],
    stack: '',
  })
  const open = smallSite({ deadLetters: letters([]) })
  expect(await (await open.get('/dead-letters/counter/0/12/')).json()).toMatchObject({ stack: letter.stack })
  expect((await get('/dead-letters/counter/0/13/')).status).toBe(404)
  expect((await get('/dead-letters/counter/x/13/')).status).toBe(400)
})

it('reads once for concurrent callers, and stops when the last of them has left', async () => {
  const reads: AbortSignal[] = []
  const read = (signal: AbortSignal | undefined): Promise<never> => {
    if (signal === undefined) throw new Error('Reading is never stopped.')
    reads.push(signal)
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
  }
  const { get } = smallSite({
    deadLetters: {
      ...letters([]),
      list: (options) => read(options?.signal),
      show: (_agent, _which, options) => read(options?.signal),
    },
  })
  for (const path of ['/dead-letters/', '/dead-letters/counter/0/12/']) {
    reads.length = 0
    await mustReadOnce(get, path, reads)
  }
})

it('replays one letter or all of them', async () => {
  const asked: unknown[] = []
  const { get } = smallSite({ deadLetters: letters(asked), settings: { admin: true } })
  const replay = async (agent: string, body: unknown): Promise<number> => {
    const headers = { 'millrace-action': 'test' }
    return (await get(`/dead-letters/${agent}/replay/`, { method: 'POST', headers, body: JSON.stringify(body) })).status
  }
  expect(await replay('counter', { partition: 0, offset: 12 })).toBe(200)
  expect(await replay('counter', { all: true })).toBe(200)
  expect(await replay('other', { all: true })).toBe(404)
  expect(asked).toEqual([
    ['counter', { partition: 0, offset: 12 }],
    ['counter', 'all'],
    ['other', 'all'],
  ])
  for (const body of [{}, { all: 'yes' }, { partition: -1, offset: 0 }, { partition: '1e3', offset: 1 }, null, []])
    expect(await replay('counter', body)).toBe(400)
})
