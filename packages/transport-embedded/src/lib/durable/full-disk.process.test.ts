import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { smallDisk } from '@millrace/conformance'
import { NO_HEADERS, systemClock, type Logger } from '@millrace/core'
import { bundled } from '@millrace/programs-for-tests'
import { createEmbeddedTransport } from '../embedded-transport.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const place = mkdtempSync(join(tmpdir(), 'millrace-full-'))
const program = fileURLToPath(await bundled(new URL('./full-disk.fixture.ts', import.meta.url)))

afterAll(() => rmSync(place, { recursive: true, force: true }))
const MEGABYTE = 1024 * 1024

interface Findings {
  readonly acknowledged: number
  readonly code: string
  readonly message: string
  readonly endAfterFailure: number
}

/** Runs the fixture in `directory`, with a shell command before it. */
function fill(directory: string, before: string): Findings {
  const child = spawnSync('sh', ['-c', `${before} exec "$0" "$1" "$2"`, process.execPath, program, directory], {
    encoding: 'utf8',
  })
  expect(child.status, child.stderr).toBe(0)
  const found: Findings = JSON.parse(child.stdout)
  expect(found.code).toBe('LOG_UNUSABLE')
  expect(found.message).toContain(directory)
  expect(found.acknowledged).toBeGreaterThan(500)
  expect(found.endAfterFailure).toBe(found.acknowledged)
  return found
}

/** What is in the log, after some more were sent. */
async function sendAndRead(directory: string, more: number): Promise<number> {
  const transport = createEmbeddedTransport({ directory }, { clock: systemClock(), log: silent })
  await transport.connect({ timeoutMs: 5000 })
  const record = { topic: 't', partition: 0, key: null, value: Buffer.alloc(1000), headers: NO_HEADERS, timestamp: 1 }
  await transport.producer().send(
    Array.from({ length: more }, () => record),
    { guard: () => {} },
  )
  const reader = transport.reader({ isolation: 'read-committed' })
  reader.assign({ topic: 't', partition: 0 }, 0)
  let records = 0
  for await (const batch of reader.batches()) {
    records += batch.records.length
    if (batch.nextOffset >= batch.endOffset) break
  }
  await transport.close()
  return records
}

// A limit on file size makes writing fail as a full disk does; shells of Windows have none.
it.skipIf(process.platform === 'win32')(
  'a log that cannot grow rejects the send with LOG_UNUSABLE, and loses no acknowledged record',
  { timeout: 60_000 },
  async () => {
    const { acknowledged } = fill(place, 'trap "" XFSZ; ulimit -f 8000;')
    expect(await sendAndRead(place, 1000)).toBe(acknowledged + 1000)
  },
)

it('so does a full disk, and sends succeed again with more space', { timeout: 60_000 }, async ({ skip }) => {
  const disk = smallDisk(4 * MEGABYTE)
  if (disk === undefined) return skip('It takes root on Linux to mount a small disk.')
  try {
    const { acknowledged, message } = fill(disk.directory, '')
    expect(message).toMatch(/No space left|Input\/output/)
    disk.resize(32 * MEGABYTE)
    expect(await sendAndRead(disk.directory, 5000)).toBe(acknowledged + 5000)
  } finally {
    disk.remove()
  }
})
