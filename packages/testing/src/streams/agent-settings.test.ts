import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../lib/test-app.ts'

test('the settings determine the default concurrency of agents', async () => {
  const app = createApp({ id: 'shop', agent: { concurrency: 3 } })
  const started: string[] = []
  const reads = (name: string) => async (stream: AsyncIterable<unknown>) => {
    started.push(name)
    for await (const _ of stream);
  }
  app.agent('default', { value: 'json' }, reads('default'))
  app.agent('own', { value: 'json' }, reads('own'), { concurrency: 1 })
  await using _t = await testApp(app)
  expect(started.toSorted()).toEqual(['default', 'default', 'default', 'own'])
})

test('the settings determine the default time-out of an ask', async () => {
  // No worker runs, so nobody answers.
  const app = createApp({ id: 'shop', broker: 'memory:', agent: { askTimeout: '50ms' } })
  const double = app.agent('double', { value: 'number' }, async function* (numbers) {
    for await (const n of numbers) yield n * 2
  })
  await expect(double.ask(1)).rejects.toThrow('ASK_TIMEOUT: Agent "double" did not answer within 50ms.')
  await expect(double.join([1, 2])).rejects.toThrow('within 50ms')
  await expect(double.ask(1, { timeout: '90ms' })).rejects.toThrow('within 90ms')
  await app.stop()
})
