import { createApp, type Stream } from '@millrace/app'
import { json } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const Plan = fc.record({
  /** How many words each post has. */
  posts: fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 25 }),
  /** Posts whose handling fails once, and after how many of their words. */
  failing: fc.array(fc.tuple(fc.nat({ max: 24 }), fc.nat({ max: 5 })), { maxLength: 4 }),
  take: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
  slow: fc.boolean(),
  generated: fc.boolean(),
  nested: fc.boolean(),
  regrouped: fc.boolean(),
  dropsOdd: fc.boolean(),
  concurrency: fc.integer({ min: 1, max: 3 }),
})

interface Word {
  readonly post: number
  readonly at: number
}

test('after flatMap each value counts once and in order, through failures, waits, batches and groupBy', async () => {
  await fc.assert(
    fc.asyncProperty(Plan, async (plan) => {
      const { posts, take, slow, generated, nested, regrouped, dropsOdd, concurrency } = plan
      const failures = new Map(plan.failing)
      const app = createApp({ id: 'flat', agent: { backoff: 1 } })
      const source = app.topic('posts', { key: 'string', value: 'number', partitions: 2 })
      const words = app.topic('words', { key: 'string', value: json<Word>(), partitions: 2 })
      const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0, partitions: 2 })

      const wordsOf = (post: number): readonly Word[] => {
        const all = Array.from({ length: posts[post] ?? 0 }, (_, at) => ({ post, at }))
        return all
      }
      function* oneByOne(post: number): Generator<Word> {
        yield* wordsOf(post)
      }
      const shape = (stream: Stream<string, number>): Stream<string, Word> => {
        let all = nested
          ? stream.flatMap((post) => [wordsOf(post), []]).flatMap((part) => part)
          : stream.flatMap((post) => (generated ? oneByOne(post) : wordsOf(post)))
        if (slow) all = all.map(async (word) => word)
        if (dropsOdd) all = all.filter((word) => word.at % 2 === 0)
        return regrouped ? all.groupBy(({ post }) => `k${post % 3}`, { name: 'again' }) : all
      }
      const handle = async (word: Word): Promise<void> => {
        const key = `k${word.post % 3}`
        counts.update(key, (n) => n + 1)
        await words.send({ key, value: word })
        if (failures.get(word.post) !== word.at) return
        failures.delete(word.post)
        throw new Error(`no ${word.post}/${word.at} yet`)
      }
      app.agent(
        'split',
        source,
        async (stream) => {
          if (take === undefined) for await (const word of shape(stream)) await handle(word)
          else
            for await (const batch of shape(stream).take(take, { within: '1s' })) {
              expect(batch.length).toBeLessThanOrEqual(take)
              for (const word of batch) await handle(word)
            }
        },
        { concurrency },
      )
      await using t = await testApp(app)
      for (const post of posts.keys()) await t.send(source, { key: `k${post % 3}`, value: post })
      for (let again = 0; again < 6; again++) await t.clock.advance('2s')

      const expected = [...posts.keys()].flatMap(wordsOf).filter(({ at }) => !dropsOdd || at % 2 === 0)
      const sent = t.sent(words).map(({ value }) => value)
      for (const key of ['k0', 'k1', 'k2']) {
        const own = ({ post }: Word): boolean => `k${post % 3}` === key
        expect(sent.filter((word) => word !== null && own(word))).toEqual(expected.filter(own))
        expect(counts.get(key)).toBe(expected.filter(own).length)
      }
      expect(t.log.records('flat-split-dlq')).toEqual([])
      const [worker] = t.all
      expect(worker?.worker.quiet()).toMatchObject({ idle: true, inFlight: [] })
    }),
    { numRuns: 60 },
  )
})

test('under noAck an event is finished when all of its values are acked', async () => {
  const app = createApp({ id: 'loose' })
  const source = app.topic('posts', { key: 'string', value: 'string', partitions: 1 })
  const acks: (() => void)[] = []
  app.agent('split', source, async (stream) => {
    const words = stream.noAck().flatMap((post) => post.split(' '))
    for await (const event of words.events()) acks.push(() => event.ack())
  })
  await using t = await testApp(app)
  const inFlight = (): number => t.all[0]?.worker.quiet().inFlight.length ?? 0
  await t.send(source, { key: 'a', value: 'one two three' })
  for (let turn = 0; turn < 200 && acks.length < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(acks).toHaveLength(3)
  const [one, two, three] = acks
  three?.()
  three?.()
  one?.()
  one?.()
  expect(inFlight()).toBe(1)
  two?.()
  await t.settle()
  expect(inFlight()).toBe(0)
})

test('leaving a loop between two values of an event stops the worker when another loop begins', async () => {
  const app = createApp({ id: 'leaving' })
  const source = app.topic('posts', { key: 'string', value: 'string', partitions: 1 })
  const seen: string[] = []
  app.agent('split', source, async (stream) => {
    const words = stream.flatMap((post) => post.split(' '))
    for await (const word of words) {
      seen.push(word)
      if (word.endsWith('!')) break
    }
    for await (const word of words) seen.push(word)
  })
  const t = await testApp(app)
  await t.send(source, { key: 'a', value: 'one two!' })
  await t.send(source, { key: 'a', value: 'three' })
  await t.settle()
  // What was left of the first one was nothing.
  expect(seen).toEqual(['one', 'two!', 'three'])
  await t.close()

  seen.length = 0
  const again = await testApp(app)
  await again.send(source, { key: 'a', value: 'one! two' })
  await expect(again.settle()).rejects.toMatchObject({
    code: 'DEFINITION_INVALID',
    message: expect.stringContaining('posts/0 at offset 0'),
  })
  expect(seen).toEqual(['one!'])
  await again.close().catch(() => {})
})

test('a flatMap function that returns text fails its event instead of giving its characters', async () => {
  const app = createApp({ id: 'letters' })
  const source = app.topic('posts', { key: 'string', value: 'string', partitions: 1 })
  const seen: string[] = []
  app.agent(
    'split',
    source,
    async (stream) => {
      // @ts-expect-error text is no list
      for await (const letter of stream.flatMap((post) => post)) seen.push(letter)
    },
    { onError: 'deadLetter' },
  )
  await using t = await testApp(app)
  await t.send(source, { key: 'a', value: 'one' })
  await t.settle()
  expect(seen).toEqual([])
  expect(await t.deadLetters.show('split', 'latest')).toMatchObject({
    failure: { code: 'DEFINITION_INVALID', message: expect.stringContaining('gave text') },
  })
})

test('an agent can be one expression: to sinks, or a function for each value', async () => {
  const app = createApp({ id: 'ends', agent: { backoff: 1 } })
  const source = app.topic('posts', { key: 'string', value: 'string', partitions: 1 })
  const loud = app.topic('loud', { key: 'string', value: 'string', partitions: 1 })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0, partitions: 1 })
  const heard: string[] = []
  let failures = 1
  app.agent('shout', source, (posts) => posts.map((post) => post.toUpperCase()).to(loud, (post) => heard.push(post)))
  app.agent('count', source, (posts) =>
    posts.items().forEach(async ([key, post]) => {
      counts.update(key, (n) => n + post.length)
      if (failures-- > 0) throw new Error('not yet')
    }),
  )
  await using t = await testApp(app)
  await t.send(source, { key: 'a', value: 'one' })
  await t.send(source, { key: 'a', value: 'three' })
  await t.clock.advance('5s')
  expect(t.sent(loud).map(({ key, value }) => [key, value])).toEqual([
    ['a', 'ONE'],
    ['a', 'THREE'],
  ])
  expect(heard).toEqual(['ONE', 'THREE'])
  expect(counts.get('a')).toBe(8)
})
