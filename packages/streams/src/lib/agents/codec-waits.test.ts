import { type Codec, CodecWaitsError, deferred, MillraceError } from '@millrace/core'
import { describe, expect, it } from 'vitest'
import { streamsForTests } from '../fixtures/streams-for-tests.fixture.ts'
import { createAgent } from './create-agent.ts'

/** Text that can be decoded once `arrive` was called. */
function lateText(): { readonly codec: Codec<string>; readonly arrive: () => void; readonly asked: () => number } {
  const coming = deferred<void>()
  let isHere = false
  let asked = 0
  return {
    codec: {
      name: 'late',
      encode: (value) => Buffer.from(value),
      decode: (bytes) => {
        if (!isHere) throw new CodecWaitsError('The alphabet is not here.', coming.promise)
        return bytes.toString()
      },
      missing: () => {
        if (isHere) return undefined
        asked++
        return coming.promise
      },
    },
    arrive: () => {
      isHere = true
      coming.resolve()
    },
    asked: () => asked,
  }
}

describe('an agent whose topic has a codec that lacks something', () => {
  it('gets the events, values and keys decoded, once it is here', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const [key, value] = [lateText(), lateText()]
    const topic = createTopic('texts', { key: key.codec, value: value.codec, partitions: 1 })
    const read: string[] = []
    const part = await run(
      createAgent(deps, 'read', topic, async (stream) => {
        for await (const event of stream.events()) read.push(`${event.key}=${event.value}`)
      }),
    )
    for (const text of ['a', 'b', 'c']) await topic.send({ key: text, value: text })
    await until('they were asked for', () => key.asked() > 0 && value.asked() > 0)
    value.arrive()
    expect(read).toEqual([])
    key.arrive()
    await until('all read', () => read.length === 3)
    expect(read).toEqual(['a=a', 'b=b', 'c=c'])
    expect(part.counts().read).toMatchObject({ failed: 0, deadLettered: 0 })
    await engine.stop()
  })

  it('gives an event back that needs it in the handler, with no attempt counted, and drops its effects', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const out = createTopic('out', { value: 'number', partitions: 1 })
    const row = lateText()
    const attempts: number[] = []
    const part = await run(
      createAgent(deps, 'read', topic, async (stream) => {
        for await (const event of stream.events()) {
          attempts.push(event.value)
          await out.send({ value: event.value })
          try {
            row.codec.decode(Buffer.from('row'))
          } catch (cause) {
            throw new MillraceError('ROW_UNDECODABLE', 'Key "a" of table "t".', { cause })
          }
        }
      }),
    )
    for (const value of [1, 2, 3]) await topic.send({ value })
    await until('the first was tried', () => attempts.length > 0)
    expect(attempts).toEqual([1])
    row.arrive()
    await until('all handled', () => part.counts().read?.processed === 3)
    expect(attempts).toEqual([1, 1, 2, 3])
    expect(part.counts().read).toMatchObject({ received: 3, failed: 0, retried: 0, deadLettered: 0 })
    expect(engine.records('out').map(({ value }) => Number(value))).toEqual([1, 2, 3])
    await engine.stop()
  })
})
