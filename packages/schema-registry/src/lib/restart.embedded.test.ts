import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, createApp } from '@millrace/app'
import { systemClock } from '@millrace/core'
import { expect, onTestFinished, test } from 'vitest'
import { avro } from './avro.ts'
import { RegistryServer } from './fixtures/registry-server.fixture.ts'

interface Total {
  readonly count: number
}

interface SummedTotal extends Total {
  readonly sum: number
}

const field = (name: string, rest: object = {}): object => ({ name, type: 'int', ...rest })
const TOTAL = { type: 'record', name: 'Total', fields: [field('count')] }
const SUMMED = { type: 'record', name: 'Total', fields: [field('count'), field('sum', { default: -1 })] }

async function until(what: string, condition: () => boolean): Promise<void> {
  const clock = systemClock()
  const endMs = clock.monotonic() + 10_000
  while (!condition()) {
    if (clock.monotonic() > endMs) throw new Error(`${what} has not come true.`)
    await clock.sleep(5)
  }
}

/** An app without pages, stopped at the end of the test. */
function appOf(broker: string, schemaRegistry: string): App {
  const app = createApp({ id: 'shop', broker, schemaRegistry, web: { enabled: false }, commitInterval: '20ms' })
  onTestFinished(() => app.stop())
  return app
}

test('a worker with a newer schema restores the rows of the older one, and has rows of both', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-schemas-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  await using server = new RegistryServer()
  const url = await server.start()
  const broker = `embedded:${directory}`

  const old = appOf(broker, url)
  const oldSales = old.topic('sales', { key: 'string', value: 'number' })
  const before = old.table('totals', { key: 'string', value: avro<Total>({ schema: TOTAL, register: true }) })
  old.agent('count', oldSales, async (stream) => {
    for await (const [key, count] of stream.items()) before.set(key, { count })
  })
  await old.start()
  await oldSales.send({ key: 'a', value: 5 })
  await until('the first row is committed', () => (old.stats()?.states['totals']?.rows ?? 0) === 1)
  await old.stop()

  const app = appOf(broker, url)
  const sales = app.topic('sales', { key: 'string', value: 'number' })
  const value = avro<SummedTotal>({ schema: SUMMED, register: true })
  const after = app.table('totals', { key: 'string', value })
  const read: (SummedTotal | undefined)[] = []
  app.agent('count', sales, async (stream) => {
    for await (const [key, count] of stream.items()) {
      read.push(after.get('a'))
      after.set(key, { count, sum: count })
    }
  })
  await app.start()
  await sales.send({ key: 'a', value: 7 })
  await until('the event is handled', () => read.length === 1)
  expect(read).toEqual([{ count: 5, sum: -1 }])
  expect(await server.api.versions('shop-totals-changelog-value')).toEqual([1, 2])
})
