import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@millrace/conformance'
import { expect, test } from 'vitest'
import { describeKafka } from './for-tests.ts'
import { isAlive } from './kafka-process.ts'

describeKafka('the guard', () => {
  test('ends brokers whose starter was killed, and removes their data', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'millrace-guarded-'))
    const program = `import { startQuickKafka } from ${JSON.stringify(join(import.meta.dirname, 'quick-kafka.ts'))}
      const kafka = await startQuickKafka({ directory: ${JSON.stringify(directory)} })
      process.stdout.write('pids ' + kafka.pids.join(' ') + '\\n')
      process.stdin.resume()`
    const starter = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    try {
      let output = ''
      starter.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
      const pid = await eventually(() => Number(/pids (\d+)\n/.exec(output)?.[1]) || undefined, {
        what: 'a broker of another process',
        limitMs: 25_000,
      })
      expect(isAlive(pid)).toBe(true)
      starter.kill('SIGKILL')
      await eventually(() => !isAlive(pid) && !existsSync(directory), { what: 'the broker to end', limitMs: 10_000 })
    } finally {
      starter.kill('SIGKILL')
      await rm(directory, { recursive: true, force: true })
    }
  })
})
