import { describe, expect, it } from 'vitest'
import { createApp } from './app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

describe('start and stop', () => {
  it('notifies of its life, stops twice, and starts again', async () => {
    const app = createApp({ id: 'shop', broker: 'memory:' }, { log: quiet })
    app.agent('read', { value: 'string' }, async (stream) => {
      for await (const _ of stream);
    })
    const told: string[] = []
    for (const event of ['started', 'partitionsAssigned', 'rebalanceComplete', 'beforeStop'] as const)
      app.on(event, () => told.push(event))
    await app.start()
    await expect(app.start()).rejects.toThrow(/ALREADY_STARTED/)
    expect(app.stats()?.status).toBe('running')
    await Promise.all([app.stop(), app.stop()])
    await app.finished()
    expect(told).toEqual(['partitionsAssigned', 'rebalanceComplete', 'started', 'beforeStop'])
    await app.start()
    await app.stop()
  })

  it('leaves no async storage enabled for Node to pass to every promise', async () => {
    // Node 24 stores them in a frame instead.
    const carried = (): number =>
      Object.getOwnPropertySymbols(Promise.resolve()).filter(({ description }) => description === 'kResourceStore')
        .length
    const before = carried()
    const app = createApp({ id: 'shop', broker: 'memory:', web: false }, { log: quiet })
    const orders = app.topic('orders', { value: 'string' })
    let resolve: (order: string) => void = () => {}
    const read = new Promise<string>((done) => (resolve = done))
    app.agent('read', orders, async (stream) => {
      for await (const order of stream) resolve(order)
    })
    await orders.send({ value: 'by a client, before a worker runs' })
    await app.start()
    await orders.send({ value: 'milk' })
    await read
    await app.stop()
    await app.finished()
    expect(carried()).toBe(before)
  })

  it('starts and stops despite failing listeners, and logs their errors', async () => {
    const errors: string[] = []
    const app = createApp(
      { id: 'shop', broker: 'memory:' },
      { log: { ...quiet, error: (_, text) => errors.push(text) } },
    )
    app.agent('read', { value: 'string' }, async (stream) => {
      for await (const _ of stream);
    })
    app.on('started', () => {
      throw new Error('at once')
    })
    // oxlint-disable-next-line typescript/no-misused-promises -- nobody waits for it, and yet people do it
    app.on('beforeStop', () => Promise.reject(new Error('later')))
    await app.start()
    await app.stop()
    await app.finished()
    expect(errors).toEqual(['started', 'beforeStop'].map((event) => `A listener of "${event}" (app.on) has failed.`))
  })

  it('stops while it is starting', async () => {
    const app = createApp({ id: 'shop', broker: 'memory:' }, { log: quiet })
    app.agent('read', { value: 'string' }, async (stream) => {
      for await (const _ of stream);
    })
    const starting = app.start().catch((error: unknown) => String(error))
    await app.stop()
    expect(await starting).toMatch(/CLOSED/)
  })

  it('starts no worker in production on the default broker', async () => {
    process.env['NODE_ENV'] = 'production'
    try {
      const app = createApp({ id: 'shop', web: false }, { log: quiet })
      app.agent('read', { value: 'string' }, async (stream) => {
        for await (const _ of stream);
      })
      await expect(app.start()).rejects.toThrow(/BROKER_UNSET.*MILLRACE_BROKER/)
      const chosen = createApp({ id: 'shop', broker: 'memory:', web: false }, { log: quiet })
      await chosen.start()
      await chosen.stop()
    } finally {
      process.env['NODE_ENV'] = 'test'
    }
  })

  it('warns of connections that others can read or impersonate', async () => {
    const warnings: string[] = []
    const log = { ...quiet, warn: (_fields: object, message: string) => warnings.push(message) }
    const login = { mechanism: 'plain', username: 'u', password: 'p' } as const
    for (const kafka of [{ sasl: login }, { sasl: login, ssl: { enabled: true, rejectUnauthorized: false } }]) {
      const app = createApp(
        { id: 'shop', broker: 'kafka://127.0.0.1:1', connectTimeout: '50ms', web: false, kafka },
        { log },
      )
      app.agent('read', { value: 'string' }, async (stream) => {
        for await (const _ of stream);
      })
      await expect(app.start()).rejects.toThrow(/BROKER_UNREACHABLE/)
    }
    expect(warnings.filter((text) => text.includes('plain text'))).toHaveLength(1)
    expect(warnings.filter((text) => text.includes('rejectUnauthorized'))).toHaveLength(1)
  })

  it('gives up on a missing broker and names it', async () => {
    const settings = { broker: 'kafka://127.0.0.1:1', connectTimeout: '300ms', web: { enabled: false } } as const
    const app = createApp({ id: 'shop', ...settings }, { log: quiet })
    app.agent('read', { value: 'string' }, async (stream) => {
      for await (const _ of stream);
    })
    const errors: Error[] = []
    app.on('error', (error) => errors.push(error))
    await expect(app.start()).rejects.toThrow(/BROKER_UNREACHABLE.*127\.0\.0\.1:1/s)
    await expect(app.finished()).rejects.toThrow(/BROKER_UNREACHABLE/)
    expect(errors).toHaveLength(1)
    await app.stop()
  })

  it('sends without a worker, through the app’s own client', async () => {
    const app = createApp({ id: 'shop', broker: 'memory:' }, { log: quiet })
    const orders = app.topic('orders', { value: 'string' })
    // No worker has run yet: the topic is created as a worker would create it.
    await orders.send({ value: 'one' })
    await app.start()
    await orders.send({ value: 'two' })
    await app.stop()
    const receipt = await orders.send({ value: 'three' })
    expect(await receipt.metadata()).toMatchObject({ topic: 'orders' })
    await app.stop()
  })
})
