import { expect, it } from 'vitest'
import { createAgent } from '../agents/create-agent.ts'
import { streamsForTests } from '../fixtures/streams-for-tests.fixture.ts'

// Behaviour of branches in an app under a clock. What they promise about events is in
// packages/testing/src/streams/branches.test.ts.

it('steps of groupBy behind a branch end with the agent even if a later run of its handler has not used them', async () => {
  const { deps, createTopic, engine, run, until } = streamsForTests()
  const topic = createTopic('numbers', { value: 'number', partitions: 1 })
  let runs = 0
  const agent = createAgent(deps, 'sort', topic, async (numbers) => {
    const isFirst = runs++ === 0
    const [large, rest] = numbers.branch((n) => n >= 10)
    await Promise.all([
      large.forEach(() => {
        if (isFirst) throw new Error('not yet')
      }),
      isFirst ? rest.groupBy((n) => `k${n}`).to() : rest.to(),
    ])
  })
  const part = await run(agent)
  await topic.send({ value: 10 })
  await until('it is done', () => part.counts().sort?.processed === 1)
  expect(runs).toBe(2)
  await engine.stop()
  expect(engine.failure).toBeUndefined()
})

it('leaving the loop over a branch holds the others until another loop reads the branch', async () => {
  const { deps, createTopic, engine, run, until } = streamsForTests()
  const topic = createTopic('numbers', { value: 'number', partitions: 1 })
  const seen: string[] = []
  let go = (): void => {}
  const gate = new Promise<void>((resolve) => (go = resolve))
  const agent = createAgent(deps, 'sort', topic, async (numbers) => {
    const [large, rest] = numbers.branch((n) => n >= 10)
    const others = rest.forEach((n) => void seen.push(`rest ${n}`))
    for await (const n of large) {
      seen.push(`first ${n}`)
      break
    }
    await gate
    seen.push('goes on')
    for await (const n of large) seen.push(`second ${n}`)
    await others
  })
  const part = await run(agent)
  for (const value of [10, 1, 11, 2]) await topic.send({ value })
  await until('the first is in flight', () => seen.length === 1)
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(part.counts().sort).toMatchObject({ processed: 0, active: 1 })
  go()
  await until('all are done', () => part.counts().sort?.processed === 4)
  expect(seen).toEqual(['first 10', 'goes on', 'rest 1', 'second 11', 'rest 2'])
  await engine.stop()
  expect(engine.failure).toBeUndefined()
})
