// Runs on a real Kafka: `docker compose up -d kafka`, then `npm run test:kafka`. For another broker, set
// MILLRACE_BROKER=kafka://host:port.
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

process.env['MILLRACE_BROKER'] ??= 'kafka://localhost:9092'
process.env['MILLRACE_WEB_PORT'] = '0'
const dataDirectory = await mkdtemp(join(tmpdir(), 'orders-'))
process.env['MILLRACE_DATA_DIRECTORY'] = dataDirectory
const { app, customers, orders, spent } = await import('../src/app.ts')

beforeAll(() => app.start(), 60_000)
afterAll(async () => {
  await app.stop()
  await rm(dataDirectory, { recursive: true, force: true })
}, 60_000)

test('an order is charged, exactly once', { timeout: 60_000 }, async () => {
  const id = randomUUID()
  await customers.send({ key: id, value: { name: 'Ann', card: '4111 1111 1111 1111', tier: 'gold' } })
  await orders.send({ key: id, value: { id: randomUUID(), cents: 1200 } })
  await vi.waitFor(() => expect(spent.get(id)).toBe(1200), { timeout: 30_000, interval: 50 })
})
