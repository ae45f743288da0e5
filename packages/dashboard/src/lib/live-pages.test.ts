import { manualClock } from '@millrace/core'
import { expect, it } from 'vitest'
import { processLinks } from './fixtures/process-links.fixture.ts'
import { smallGroup, smallSite, startProcess } from './fixtures/small-site.fixture.ts'
import type { HistoryAnswer, LiveAnswer } from './app-view.ts'

interface Heard {
  readonly event: string
  readonly data: LiveAnswer
}

/** Reads server-sent events one by one. */
async function* events(response: Response): AsyncGenerator<Heard> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [, event = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(text.slice(0, end)) ?? []
      text = text.slice(end + 2)
      if (event !== '') yield { event, data: JSON.parse(data) }
    }
  }
}

const stream = { headers: { accept: 'text/event-stream' } }

it('sends the whole state once, then changes every second, until the worker is no longer watched', async () => {
  const clock = manualClock()
  const { site, worker, get } = smallSite({ clock })
  const response = await get('/live/', stream)
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  const heard = events(response)
  const first = await heard.next()
  expect(first.value).toMatchObject({
    event: 'state',
    data: { workers: { 'worker-1': { answers: true, self: true, stats: { status: 'running' } } } },
  })
  worker.status = 'stopping'
  await clock.advance(1_000)
  const second = await heard.next()
  expect(second.value).toMatchObject({
    event: 'change',
    data: { workers: { 'worker-1': { stats: { status: 'stopping' } } } },
  })
  expect(JSON.stringify(second.value).length).toBeLessThan(JSON.stringify(first.value).length / 3)
  site.unwatch(worker)
  expect((await heard.next()).done).toBe(true)
})

it('buffers nothing for a client that does not read, and sends it the sum afterwards', async () => {
  const clock = manualClock()
  const { worker, get } = smallSite({ clock })
  const heard = events(await get('/live/', stream))
  await heard.next()
  for (let second = 0; second < 50; second++) await clock.advance(1_000)
  worker.status = 'failed'
  await clock.advance(1_000)
  const seen: string[] = []
  while (seen.length < 4 && !seen.at(-1)?.includes('"status":"failed"'))
    seen.push(JSON.stringify((await heard.next()).value))
  expect(seen.at(-1)).toContain('"status":"failed"')
  await heard.return(undefined)
})

it('answers the last five minutes at once, one point a second', async () => {
  const clock = manualClock()
  const { site, worker, get } = smallSite({ clock })
  site.watch(worker)
  for (let second = 0; second < 5; second++) await clock.advance(1_000)
  const history: HistoryAnswer = JSON.parse(await (await get('/history/')).text())
  expect(history.workers['worker-1']?.map(({ at }) => at - clock.now())).toEqual([
    -5_000, -4_000, -3_000, -2_000, -1_000, 0,
  ])
  const stats: unknown = await (await get('/stats')).json()
  expect(stats).toMatchObject({ rates: { events: 0, sent: 0 }, errorsInFiveMinutes: 0 })
  site.unwatch(worker)
})

it('asks the other workers for the whole app, and lists those that do not answer', async () => {
  const group = smallGroup(4)
  const one = await startProcess({ id: 'one', group }, [0])
  const two = await startProcess({ id: 'two', group }, [1])
  group.owners.set(2, { member: 'three', address: '127.0.0.1:1' })
  try {
    const answer: LiveAnswer = JSON.parse(await (await fetch(`${one.url}/live/?of=app`)).text())
    expect(answer.workers).toMatchObject({
      one: { answers: true, self: true, stats: { worker: { id: 'one' } } },
      two: { answers: true, self: false, stats: { worker: { id: 'two' } } },
      '127.0.0.1:1': { answers: false, address: '127.0.0.1:1', error: expect.any(String) },
    })
    const history: HistoryAnswer = JSON.parse(await (await fetch(`${two.url}/history/?of=app`)).text())
    expect(Object.keys(history.workers).sort()).toEqual(['one', 'two'])
  } finally {
    await one.stop()
    await two.stop()
  }
})

it('asks members without a task as well, and lists those that serve no site', async () => {
  const group = smallGroup(1)
  const one = await startProcess({ id: 'one', group }, [0])
  const idle = await startProcess({ id: 'idle', group }, [])
  for (const { worker } of [one, idle]) group.members.set(worker.context.id, worker.address())
  group.members.set('siteless', undefined)
  try {
    const answer: LiveAnswer = JSON.parse(await (await fetch(`${one.url}/live/?of=app`)).text())
    expect(answer.workers).toMatchObject({
      one: { answers: true, self: true },
      idle: { answers: true, self: false, stats: { worker: { id: 'idle' } } },
      siteless: { answers: false, self: false, error: expect.stringContaining('web.enabled') },
    })
    const fromIdle: LiveAnswer = JSON.parse(await (await fetch(`${idle.url}/live/?of=app`)).text())
    expect(Object.keys(fromIdle.workers).sort()).toEqual(['idle', 'one', 'siteless'])
    const assignment = JSON.parse(await (await fetch(`${one.url}/assignment/`)).text())
    expect(assignment.members).toContainEqual({ member: 'idle', address: idle.worker.address() })
  } finally {
    await one.stop()
    await idle.stop()
  }
})

it('workers with different tokens show one another’s data to admitted callers, through the group’s secret', async () => {
  const group = smallGroup(2)
  const one = await startProcess({ id: 'one', group, settings: { token: 'of-one' } }, [0])
  const two = await startProcess({ id: 'two', group, settings: { token: 'of-two' } }, [1])
  try {
    const url = `${one.url}/live/?of=app`
    expect((await fetch(url)).status).toBe(401)
    const answer: LiveAnswer = JSON.parse(
      await (await fetch(url, { headers: { authorization: 'Bearer of-one' } })).text(),
    )
    expect(answer.workers).toMatchObject({ one: { self: true }, two: { answers: true, self: false } })
    const other = await startProcess({ id: 'three', group, settings: { secret: 'not that of the others' } }, [])
    try {
      const stranger: LiveAnswer = JSON.parse(await (await fetch(`${other.url}/live/?of=app`)).text())
      const address = two.worker.address() ?? ''
      expect(stranger.workers[address]).toMatchObject({ answers: false, error: expect.stringContaining('web.secret') })
    } finally {
      await other.stop()
    }
  } finally {
    await one.stop()
    await two.stop()
  }
})

it('shows all processes of its site, and those that do not answer', async () => {
  const group = smallGroup(3)
  const [first, second, silent] = processLinks(3)
  const one = await startProcess({ id: 'one', group, ...(first && { siblings: first }) }, [0])
  const two = await startProcess({ id: 'two', group, ...(second && { siblings: second }) }, [1])
  expect(silent?.index).toBe(2)
  try {
    const answer: LiveAnswer = JSON.parse(await (await fetch(`${two.url}/live/`)).text())
    expect(answer.workers).toMatchObject({
      two: { answers: true, self: true },
      one: { answers: true, self: false, stats: { worker: { id: 'one' } } },
      'process 2': { answers: false, self: false, error: expect.stringContaining('does not answer') },
    })
    const history: HistoryAnswer = JSON.parse(await (await fetch(`${two.url}/history/`)).text())
    expect(Object.keys(history.workers).sort()).toEqual(['one', 'two'])
    const alone: LiveAnswer = JSON.parse(await (await fetch(`${two.url}/live/?of=worker`)).text())
    expect(Object.keys(alone.workers)).toEqual(['two'])
  } finally {
    await one.stop()
    await two.stop()
  }
})

it('shows processes of its site for the whole app although their addresses lead nowhere', async () => {
  const group = smallGroup(3)
  const [first, second] = processLinks(2)
  const one = await startProcess({ id: 'one', group, ...(first && { siblings: first }) }, [0])
  const two = await startProcess({ id: 'two', group, ...(second && { siblings: second }) }, [1])
  const three = await startProcess({ id: 'three', group }, [2])
  group.owners.set(0, { member: 'one', address: '127.0.0.1:1' })
  group.owners.set(1, { member: 'two', address: '127.0.0.1:1' })
  try {
    const answer: LiveAnswer = JSON.parse(await (await fetch(`${one.url}/live/?of=app`)).text())
    expect(Object.entries(answer.workers).map(([id, { answers, self }]) => [id, answers, self])).toEqual([
      ['one', true, true],
      ['two', true, false],
      ['three', true, false],
    ])
    const history: HistoryAnswer = JSON.parse(await (await fetch(`${one.url}/history/?of=app`)).text())
    expect(Object.keys(history.workers).sort()).toEqual(['one', 'three', 'two'])
  } finally {
    await one.stop()
    await two.stop()
    await three.stop()
  }
})

it('asks each other worker once for all open pages', async () => {
  const group = smallGroup(2)
  // The clock stands still: however slow the machine, no answer is too old for the next page.
  const clock = manualClock()
  const one = await startProcess({ id: 'one', group, clock }, [0])
  const two = await startProcess({ id: 'two', group, clock }, [1])
  const asked = async (): Promise<number> => {
    const text = await (await fetch(`${two.url}/metrics`)).text()
    return Number(/_count\{method="GET",page="\/live\/",status="200"\} (\d+)/.exec(text)?.[1] ?? 0)
  }
  try {
    const pages = await Promise.all(
      Array.from({ length: 40 }, async () => events(await fetch(`${one.url}/live/?of=app`, stream))),
    )
    const states = await Promise.all(pages.map(async (page) => (await page.next()).value))
    for (const state of states)
      expect(state).toMatchObject({ event: 'state', data: { workers: { two: { answers: true } } } })
    expect(await asked()).toBe(1)
    await clock.advance(1_000)
    const changes = await Promise.all(pages.map(async (page) => (await page.next()).value))
    for (const change of changes) expect(change).toMatchObject({ event: 'change' })
    expect(await asked()).toBe(2)
  } finally {
    await one.stop()
    await two.stop()
  }
})

it('ends at once when the worker stops', async () => {
  const group = smallGroup(1)
  const one = await startProcess({ id: 'one', group }, [0])
  const heard = events(await fetch(`${one.url}/live/`, stream))
  await heard.next()
  await one.stop()
  let ended = false
  while (!ended) ended = (await heard.next()).done === true
})
