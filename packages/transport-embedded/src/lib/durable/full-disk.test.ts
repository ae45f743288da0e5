import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { systemClock, type Logger } from '@millrace/core'
import { createEmbeddedTransport } from './embedded-transport.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const directory = mkdtempSync(join(tmpdir(), 'millrace-full-'))

afterAll(() => rmSync(directory, { recursive: true, force: true }))

// A limit on file size makes writing fail as a full disk does; shells of Windows have none.
it.skipIf(process.platform === 'win32')(
  'a full disk rejects the send with LOG_UNUSABLE, and loses nothing acknowledged',
  { timeout: 60_000 },
  async () => {
    const fixture = join(import.meta.dirname, 'full-disk.fixture.ts')
    const command = 'trap "" XFSZ; ulimit -f 8000; exec "$0" --import tsx "$1" "$2"'
    const child = spawnSync('sh', ['-c', command, process.execPath, fixture, directory], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
    })
    expect(child.status, child.stderr).toBe(0)
    const found: { acknowledged: number; code: string; message: string; endAfterFailure: number } = JSON.parse(
      child.stdout,
    )
    expect(found.code).toBe('LOG_UNUSABLE')
    expect(found.message).toContain(directory)
    expect(found.acknowledged).toBeGreaterThan(500)
    expect(found.endAfterFailure).toBe(found.acknowledged)

    const transport = createEmbeddedTransport({ directory }, { clock: systemClock(), log: silent })
    await transport.connect({ timeoutMs: 5000 })
    const reader = transport.reader({ isolation: 'read-committed' })
    reader.assign({ topic: 't', partition: 0 }, 0)
    let records = 0
    for await (const batch of reader.batches()) {
      records += batch.records.length
      if (batch.nextOffset >= batch.endOffset) break
    }
    expect(records).toBe(found.acknowledged)
    await transport.close()
  },
)
