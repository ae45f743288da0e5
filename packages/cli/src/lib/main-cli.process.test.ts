import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fixture, runMillrace, startMillrace } from '../fixtures/run-millrace.ts'
import { isEntry } from './process/run-process.ts'

describe.concurrent('app.main', () => {
  const script = 'main.ts'

  test('makes the file the command', async () => {
    expect(await runMillrace(['agents'], { script })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('count-words'),
    })
  })

  test('needs no -A, and takes none', async () => {
    expect(await runMillrace(['agents', '-A', 'x.ts'], { script })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no option -A'),
    })
    expect((await runMillrace(['--help'], { script })).stdout).toContain('node main.ts worker')
  })

  test('runs a worker', async () => {
    const worker = startMillrace(['worker'], { script })
    await worker.untilOutput('Worker is ready')
    worker.child.kill('SIGTERM')
    expect((await worker.exit).code).toBe(0)
  })

  test('does nothing when the file is imported', async () => {
    expect(await runMillrace(['-A', 'main.ts', 'agents'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('count-words'),
    })
  })
})

test('the entry may be a symbolic link, and lack its extension', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-main-'))
  const link = join(directory, 'linked.ts')
  symlinkSync(fixture('main.ts'), link)
  expect(isEntry(fixture('main.ts'), link)).toBe(true)
  expect(isEntry(fixture('main.ts'), fixture('main'))).toBe(true)
  expect(isEntry(fixture('main.ts'), fixture('app.ts'))).toBe(false)
  expect(isEntry(fixture('main.ts'), undefined)).toBe(false)
  rmSync(directory, { recursive: true })
})
