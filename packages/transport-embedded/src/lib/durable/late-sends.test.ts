import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { type Logger, MillraceError, NO_HEADERS, systemClock } from '@millrace/core'
import { EmbeddedTransport } from '../embedded-transport.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const directory = mkdtempSync(join(tmpdir(), 'millrace-late-'))

afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('a send that waits for its turn is not stored if the lease runs out meanwhile', async () => {
  const transport = new EmbeddedTransport({ directory }, { clock: systemClock(), log: silent })
  await transport.connect({ timeoutMs: 1000 })
  const admin = transport.admin()
  await admin.createTopics([{ name: 'rows', partitions: 1, replicationFactor: 1, config: {} }])
  const producer = transport.producer()
  let hasLease = true
  const guard = (): void => {
    if (!hasLease) throw new MillraceError('LEASE_EXPIRED', 'No heartbeat has succeeded.')
  }
  const row = { topic: 'rows', partition: 0, key: null, value: Buffer.from('1'), headers: NO_HEADERS, timestamp: 0 }
  const late = producer.send([row], { guard })
  // As a process that is suspended here.
  hasLease = false
  await expect(late).rejects.toMatchObject({ code: 'LEASE_EXPIRED' })
  hasLease = true
  expect(await producer.send([row], { guard })).toEqual([{ ok: true, offset: 0 }])
  await transport.close()
})
