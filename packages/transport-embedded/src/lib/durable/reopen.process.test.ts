import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { systemClock, type Logger } from '@millrace/core'
import { bundled } from '@millrace/programs-for-tests'
import { EmbeddedTransport } from '../embedded-transport.ts'
import { newHostName } from './host-name.ts'
import { OpenGate } from './open-gate.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const place = mkdtempSync(join(tmpdir(), 'millrace-reopen-'))
const COUNT = 300
const PROGRAM = fileURLToPath(await bundled(new URL('./log-writer.fixture.ts', import.meta.url)))

afterAll(() => rmSync(place, { recursive: true, force: true }))

async function connected(directory: string): Promise<EmbeddedTransport> {
  const transport = new EmbeddedTransport({ directory }, { clock: systemClock(), log: silent })
  await transport.connect({ timeoutMs: 20_000 })
  return transport
}

/** Lines of a process that appends. */
async function runWriter(directory: string, name: string): Promise<readonly string[]> {
  const words = [PROGRAM, directory, name, String(COUNT)]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (data: Buffer) => (output += data.toString()))
  const [code] = await once(child, 'close')
  expect(code).toBe(0)
  return output.trim().split('\n')
}

describe('opening a log that others write to', () => {
  it('reverts no acknowledged write', { timeout: 120_000 }, async () => {
    const directory = join(place, 'log')
    const first = await connected(directory)
    await first.admin().createTopics([{ name: 't', partitions: 1, replicationFactor: -1, config: {} }])
    await first.close()
    let writing = true
    const writers = Promise.all([runWriter(directory, 'a'), runWriter(directory, 'b')]).finally(() => (writing = false))
    while (writing) {
      const transport = await connected(directory)
      await transport.close()
      await systemClock().sleep(5)
    }
    const acknowledged = (await writers).flat().sort()
    const transport = await connected(directory)
    const reader = transport.reader({ isolation: 'read-committed' })
    reader.assign({ topic: 't', partition: 0 }, 0)
    const stored: string[] = []
    for await (const batch of reader.batches()) {
      for (const { offset, value } of batch.records) stored.push(`${offset} ${value?.toString() ?? ''}`)
      if (batch.nextOffset >= 2 * COUNT) break
    }
    expect(stored.sort()).toEqual(acknowledged)
    await transport.close()
  })

  it('waits for writers, and names those that do not answer', async () => {
    const directory = join(place, 'unanswered')
    const user = await connected(directory)
    const stopped = new OpenGate(directory, newHostName())
    stopped.register()
    const late = new EmbeddedTransport({ directory }, { clock: systemClock(), log: silent })
    await user.close()
    await expect(late.connect({ timeoutMs: 200 })).rejects.toMatchObject({
      code: 'LOG_UNUSABLE',
      message: expect.stringContaining(`/${process.pid}/`),
    })
    stopped.unregister()
    await late.connect({ timeoutMs: 200 })
    await late.close()
  })

  it('does not wait for the dead', async () => {
    const directory = join(place, 'dead')
    await (await connected(directory)).close()
    const child = spawn(process.execPath, ['--eval', ''])
    await once(child, 'exit')
    const dead = newHostName().replace(`/${process.pid}/`, `/${child.pid ?? 0}/`)
    const gate = new OpenGate(directory, dead)
    gate.register()
    expect(gate.take('open')).toBeDefined()
    const transport = await connected(directory)
    expect(gate.unanswered('any')).not.toContain(dead)
    await transport.close()
  })

  it('excludes a second opener and lets it in afterwards', () => {
    const shared = mkdtempSync(join(place, 'gate-'))
    const [one, two] = [new OpenGate(shared, newHostName()), new OpenGate(shared, newHostName())]
    one.register()
    const id = one.take('open')
    expect(id).toBeDefined()
    expect(two.take('open')).toBeUndefined()
    expect(two.holder()).toMatchObject({ id, purpose: 'open' })
    one.release()
    const next = two.take('open') ?? ''
    expect(two.unanswered(next)).toHaveLength(1)
    one.acknowledge(next)
    expect(two.unanswered(next)).toEqual([])
    two.release()
  })
})
