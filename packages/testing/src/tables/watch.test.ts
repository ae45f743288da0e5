import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

type Heard = readonly [event: string, data: unknown]

/** The server-sent events of an answer, and its comments as `['comment', text]`. */
async function* heard({ body }: Response): AsyncGenerator<Heard> {
  let text = ''
  for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const block = text.slice(0, end)
      text = text.slice(end + 2)
      const [, event, data = ''] = /^event: (\w+)\n(?:id: \S+\n)?data: (.*)$/.exec(block) ?? []
      if (event !== undefined) yield [event, JSON.parse(data)]
      else if (block.startsWith(': ')) yield ['comment', block.slice(2)]
    }
  }
}

/** Gathers what a watch says. */
function listen(response: Response): readonly Heard[] {
  expect(response.status).toBe(200)
  const seen: Heard[] = []
  void (async () => {
    for await (const each of heard(response)) if (each[0] !== 'comment') seen.push(each)
  })()
  return seen
}

const valuesOf = (seen: readonly Heard[]): readonly unknown[] =>
  seen.map(([event, data]) => (event === 'value' ? Reflect.get(Object(data), 'value') : event))

function countingApp(guarantee: 'at-least-once' | 'exactly-once' = 'at-least-once') {
  const app = createApp({ id: 'watched', processingGuarantee: guarantee, commitInterval: '1s' })
  const words = app.topic('words', { key: 'string', value: 'string', partitions: 4 })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
  const minutes = counts.tumbling('1m', { retention: '2m' })
  app.agent(
    'count',
    words,
    async (stream) => {
      for await (const { key, value } of stream.events()) {
        if (value === 'forget') counts.delete(key)
        else {
          minutes.update(key, (n) => n + 1)
          counts.update(key, (n) => n + 1)
        }
        if (value === 'bad') throw new Error('bad')
      }
    },
    { onError: 'skip' },
  )
  return { app, words, counts, minutes }
}

test.each(['at-least-once', 'exactly-once'] as const)(
  'a watch shows what is committed, and nothing that a failed event wrote: %s',
  async (guarantee) => {
    const { app, words, counts } = countingApp(guarantee)
    await using t = await testApp(app)
    const seen = listen(await t.fetch('/table/counts/milk/watch'))
    await t.settle()
    expect(seen).toEqual([['delete', { key: 'milk' }]])
    await t.send(words, { key: 'milk', value: 'one' })
    await t.settle()
    // Finished, and not committed.
    expect(counts.get('milk')).toBe(1)
    expect(seen).toHaveLength(1)
    const late = listen(await t.fetch('/table/counts/milk/watch'))
    await t.settle()
    expect(valuesOf(late)).toEqual(['delete'])
    await t.advance('1s')
    for (const each of [seen, late]) expect(valuesOf(each)).toEqual(['delete', 1])
    await t.send(words, { key: 'milk', value: 'bad' })
    await t.advance('2s')
    await t.send(words, { key: 'milk', value: 'two' })
    await t.advance('1s')
    await t.send(words, { key: 'milk', value: 'forget' })
    await t.advance('1s')
    expect(valuesOf(seen)).toEqual(['delete', 1, 2, 'delete'])
  },
)

test('a watch follows its key from worker to worker, and shows only committed values', async () => {
  const { app, words } = countingApp()
  await using t = await testApp(app)
  const keys = Array.from({ length: 12 }, (_, n) => `key-${n}`)
  const watches = new Map<string, readonly Heard[]>()
  for (const key of keys) watches.set(key, listen(await t.fetch(`/table/counts/${key}/watch`)))
  const all = listen(await t.fetch('/table/counts/watch?prefix=key-'))
  const say = async (): Promise<void> => {
    for (const key of keys) await t.send(words, { key, value: 'x' })
  }
  await say()
  await t.advance('1s')
  const second = await t.worker()
  await say()
  await t.advance('2s')
  await say()
  await t.settle()
  // The third round is not committed.
  await second.kill()
  for (let seconds = 0; seconds < 20; seconds++) await t.advance('1s')
  await say()
  await t.advance('2s')
  for (const [key, seen] of watches) expect([key, valuesOf(seen)]).toEqual([key, ['delete', 1, 2, 3, 4]])
  const last = new Map(
    all.flatMap(([event, data]) => (event === 'value' ? [[Reflect.get(Object(data), 'key'), data]] : [])),
  )
  expect([...last.values()].map((row) => Reflect.get(Object(row), 'value'))).toEqual(keys.map(() => 4))
})

test('a slow reader gets the newest value, and nothing is buffered for it', async () => {
  const { app, words } = countingApp()
  await using t = await testApp(app)
  const response = await t.fetch('/table/counts/milk/watch')
  await t.settle()
  for (let n = 0; n < 5; n++) {
    await t.send(words, { key: 'milk', value: 'x' })
    await t.advance('1s')
  }
  const seen = listen(response)
  await t.settle()
  expect(valuesOf(seen)).toEqual(['delete', 5])
})

test('a reader of a range that reconnects gets only changes, or all rows if it has missed some', async () => {
  const { app, words } = countingApp()
  await using t = await testApp(app)
  const write = async (): Promise<void> => {
    for (const key of ['ma', 'mb', 'other']) await t.send(words, { key, value: 'x' })
    await t.advance('1s')
  }
  const connect = async (lastId: string): Promise<{ text: string }> => {
    const response = await t.fetch('/table/counts/watch?prefix=m', { headers: { 'last-event-id': lastId } })
    const seen = { text: '' }
    void (async () => {
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) seen.text += chunk
    })()
    await t.settle()
    return seen
  }
  const idIn = ({ text }: { readonly text: string }): string => /.*^id: (\S+)$/ms.exec(text)?.[1] ?? 'none'
  const eventsIn = (text: string): readonly string[] =>
    [...text.matchAll(/^event: (\w+)$/gm)].map(([, name = '']) => name)
  await write()
  const first = await connect('')
  expect(eventsIn(first.text)).toEqual(['state', 'value', 'value', 'ready'])
  const id = idIn(first)
  const second = await connect(id)
  expect(eventsIn(second.text)).toEqual([])
  await write()
  expect(eventsIn(second.text)).toEqual(['value', 'value'])
  expect(idIn(second)).toBe(idIn(first))
  expect(idIn(second)).not.toBe(id)
  expect(eventsIn((await connect(id)).text)).toEqual(['state', 'value', 'value', 'ready'])
  // Partitions move away and back, and nothing has changed.
  const before = second.text.length
  const other = await t.worker()
  await t.advance('2s')
  await other.stop()
  await t.advance('2s')
  expect(eventsIn(second.text.slice(before))).toEqual([])
  await write()
  expect(eventsIn(second.text.slice(before))).toEqual(['value', 'value'])
})

test('windows of a key can be watched until their retention ends', async () => {
  const { app, words } = countingApp()
  await using t = await testApp(app, { now: new Date('2026-03-01T08:00:10Z') })
  const start = Date.parse('2026-03-01T08:00:00Z')
  const seen = listen(await t.fetch('/table/counts-tumbling-1m/milk/watch'))
  const one = listen(await t.fetch(`/table/counts-tumbling-1m/milk/watch?at=${start}`))
  await t.send(words, { key: 'milk', value: 'x' })
  await t.advance('1m')
  await t.send(words, { key: 'milk', value: 'x' })
  await t.advance('2s')
  const windows = [0, 1].map((n) => ({ start: start + n * 60_000, end: start + (n + 1) * 60_000, value: 1 }))
  expect(valuesOf(seen)).toEqual(['delete', windows.slice(0, 1), windows])
  expect(valuesOf(one)).toEqual(['delete', windows[0]])
  await t.advance('10m')
  expect(valuesOf(seen).at(-1)).toBe('delete')
  expect(valuesOf(one)).toEqual(['delete', windows[0], 'delete'])
})

test('an idle watch sends heartbeats, and ends when its worker stops', async () => {
  const { app } = countingApp()
  await using t = await testApp(app)
  const reading = heard(await t.fetch('/table/counts/milk/watch'))
  expect((await reading.next()).value).toEqual(['delete', { key: 'milk' }])
  const next = reading.next()
  await t.advance('5s')
  expect((await next).value).toEqual(['comment', 'alive'])
  const rest = (async () => {
    for await (const _ of reading);
  })()
  await t.all[0]?.stop()
  await t.advance('1s')
  await rest
})
