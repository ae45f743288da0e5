import { describe, expect, it } from 'vitest'
import { createChannel } from '../channels/channel.ts'
import { streamsForTests } from '../fixtures/streams-for-tests.fixture.ts'
import type { AnyAgent } from './agent.ts'
import { createAgent } from './create-agent.ts'

async function reads(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

/** Called as JavaScript, where no types reject the value. */
function given(...args: readonly unknown[]): AnyAgent {
  return Reflect.apply(createAgent, undefined, args) as AnyAgent
}

describe('an invalid agent is refused', () => {
  const { deps, createTopic } = streamsForTests()
  const topic = createTopic('posts', { value: 'string' })

  it.each([
    ['text', 'posts', 'Agent "t" cannot read from "posts"; .* Declare the topic: app.topic\\("posts"'],
    ['a function', reads, 'Agent "t" cannot read from a function; its source is a topic, a channel'],
    ['undefined', undefined, 'Agent "t" cannot read from undefined'],
    ['null', null, 'Agent "t" cannot read from null'],
    ['a list with text', [topic, 'orders'], 'Agent "t" cannot read from "orders"'],
    ['a list with an object', [topic, {}], 'Agent "t" cannot read from an object that is no topic of this app'],
    ['a misspelt option', { value: 'string', keys: 'string' }, 'Topic "app-t" has no option keys. Did you mean key\\?'],
  ])('for its source: %s', (_, source, message) => {
    expect(() => given(deps, 't', source, reads)).toThrow(new RegExp(`^DEFINITION_INVALID: ${message}`))
  })

  it.each([
    ['concurency', { concurency: 2 }, 'Agent "t" has no option concurency. Did you mean concurrency?'],
    ['retries', { retries: 2 }, 'Agent "t" has no option retries. There are concurrency, ordering'],
    ['a concurrency of 0', { concurrency: 0 }, 'Agent "t" has concurrency: 0'],
    ['ordering', { ordering: 'any' }, 'Agent "t" has ordering: "any"; it takes \'key\' or \'none\''],
    ['sinks that are no list', { sinks: topic }, 'Agent "t" has sinks that are no list'],
    ['a sink that is text', { sinks: ['posts'] }, 'Agent "t" has "posts" among its sinks'],
    ['onError', { onError: 'dead-letter' }, 'The onError of agent "t" has "dead-letter"'],
    ['a number', 2, 'The options of agent "t" are 2'],
  ])('for its options: %s', (_, options, message) => {
    expect(() => given(deps, 't', topic, reads, options)).toThrow(`DEFINITION_INVALID: ${message}`)
  })

  it('for its handler', () => {
    expect(() => given(deps, 't', topic, { concurrency: 2 }, reads)).toThrow(
      'DEFINITION_INVALID: Agent "t" has no handler',
    )
  })

  it('for the options of its methods', async () => {
    const agent = createAgent(deps, 'asked', topic, async function* (posts) {
      for await (const post of posts) yield post
    })
    const asked = (method: 'ask' | 'join', ...args: readonly unknown[]): unknown =>
      Reflect.apply(agent[method], agent, args)
    await expect(asked('ask', 'a', { timeOut: '1s' })).rejects.toThrow('Ask of agent "asked" has no option timeOut.')
    await expect(asked('join', ['a'], { key: 'k' })).rejects.toThrow('Join of agent "asked" has no option key.')
  })
})

describe('a handler that does not wait for events', () => {
  it.each([
    ['a function that is not async', () => undefined, 'gave undefined'],
    [
      'a generator that is not async',
      function* () {
        yield 1
      },
      'gave a generator that is not async',
    ],
    ['a function that returns its stream', (stream: object) => stream, 'gave an object'],
  ])('stops the worker at once, saying how it should be written: %s', async (_, handler, message) => {
    const { deps, run } = streamsForTests()
    await expect(run(given(deps, 'plain', { value: 'string' }, handler))).rejects.toMatchObject({
      code: 'DEFINITION_INVALID',
      detail: expect.stringMatching(new RegExp(`The handler of agent "plain" ${message} .*async \\(stream\\) =>`)),
    })
  })

  it('or returns while its stream is open gets an error with the usual cause', async () => {
    const { deps, run } = streamsForTests()
    await expect(run(createAgent(deps, 'leaves', { value: 'string' }, async () => {}))).rejects.toThrow(
      /^AGENT_RETURNED: The handler of agent "leaves" returned.* break .*await/,
    )
  })
})

describe('two loops over one stream', () => {
  it('are refused, whatever the current event', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('posts', { value: 'string', partitions: 1 })
    const seen: string[] = []
    const part = await run(
      createAgent(deps, 'twice', topic, async (posts) => {
        for await (const post of posts) {
          seen.push(post)
          for await (const other of posts.filter(() => true)) seen.push(other)
        }
      }),
    )
    await topic.send({ value: 'a' })
    await until('the worker fails', () => engine.failure !== undefined)
    expect(engine.failure).toMatchObject({
      code: 'DEFINITION_INVALID',
      detail: expect.stringMatching(/Agent "twice" begins a second loop over topic "posts"/),
    })
    expect(seen).toEqual(['a'])
    expect(part.counts().twice).toMatchObject({ processed: 0, failed: 0, deadLettered: 0, active: 0 })
  })

  it('side by side are refused, even over a channel', async () => {
    const { deps, run } = streamsForTests()
    const channel = createChannel<number>(deps, 'numbers')
    const twice = createAgent(deps, 'twice', channel, async (numbers) => {
      await Promise.all([reads(numbers), reads(numbers)])
    })
    await expect(run(twice)).rejects.toThrow('begins a second loop over channel "numbers"')
  })

  it('one after the other are one loop', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('posts', { value: 'string', partitions: 1 })
    const seen: string[] = []
    const part = await run(
      createAgent(deps, 'again', topic, async (posts) => {
        for await (const header of posts) {
          seen.push(`first ${header}`)
          break
        }
        for await (const post of posts) seen.push(post)
      }),
    )
    for (const value of ['a', 'b', 'c']) await topic.send({ value })
    await until('all are handled', () => part.counts().again?.processed === 3)
    expect(seen).toEqual(['first a', 'b', 'c'])
    expect(engine.failure).toBeUndefined()
  })
})
