import { describe, expect, it } from 'vitest'
import { createAgent } from '../agents/create-agent.ts'
import { createTopic } from '../topics/create-topic.ts'
import { streamsForTests, until } from '../test-support/streams-for-tests.ts'

describe('Stream', () => {
  it('hands out values in order and acks the one before', async () => {
    const { deps, worker, run } = streamsForTests()
    const topic = createTopic(deps, 'numbers', { value: 'number', partitions: 1 })
    const seen: number[] = []
    const agent = createAgent(deps, 'read', topic, async (numbers) => {
      for await (const n of numbers) seen.push(n)
    })
    const part = await run(agent)
    for (let n = 0; n < 1000; n++) await topic.send({ value: n })
    await until('all seen', () => seen.length === 1000)
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, n) => n))
    await worker.stop()
    expect(part.counts().read).toMatchObject({ received: 1000, processed: 1000, failed: 0, active: 0 })
    expect(worker.failure).toBeUndefined()
  })
})
