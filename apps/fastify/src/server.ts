import Fastify, { type FastifyInstance } from 'fastify'
import { siteOf } from './mount.ts'
import { createShop, Order } from './shop.ts'

/** The shop: its own routes, and a worker in the same process. */
export function buildServer(): FastifyInstance {
  const server = Fastify({ logger: true })
  // One log: Fastify's is of pino, whose interface is that of the worker.
  const { app, orders } = createShop(server.log.child({ part: 'worker' }))

  // One life: the server listens once the worker runs, and both stop together. Open watches end with the worker, so that
  // the server, which waits for them, does not wait for ever.
  let stopped: Promise<void> | undefined
  server.addHook('onReady', async () => {
    await app.start()
    app.finished().catch((error: unknown) => {
      server.log.fatal(error, 'The worker has failed.')
      process.exitCode = 1
      return server.close()
    })
  })
  server.addHook('preClose', async () => {
    stopped = app.stop()
  })
  server.addHook('onClose', async () => stopped)

  server.post('/orders', async (request, reply) => {
    const order = Order.safeParse(request.body)
    if (!order.success) return reply.code(400).send({ error: order.error.message })
    await orders.send({ key: order.data.customer, value: order.data })
    return reply.code(202).send({ accepted: true })
  })
  server.get('/ready', async (_request, reply) => {
    const { status } = await app.web.fetch(new Request('http://localhost/health/ready'))
    return reply.code(status).send({ ready: status === 200 })
  })
  server.register(siteOf(app), { prefix: '/stream' })
  return server
}
