import { runCli } from '@millrace/cli'
import { commandLine } from '@millrace/core/operations'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApp } from './app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
/** Of the first window. */
const START = Date.parse('2026-03-01T08:00:00Z')

describe('millrace table', () => {
  const app = createApp(
    { id: 'shop', broker: 'memory:', commitInterval: '20ms', web: { host: '127.0.0.1', port: 0 } },
    { log: quiet },
  )
  const words = app.topic('words', { key: 'string', value: 'number', partitions: 2 })
  const counts = app.table('counts', { key: 'string', value: 'number' })
  const minutes = counts.tumbling('1m', { retention: '10000d' })
  app.agent('count', words, async (stream) => {
    for await (const { key, value } of stream.events()) {
      if (value === 0) counts.delete(key)
      else {
        counts.set(key, value)
        minutes.set(key, value)
      }
    }
  })
  const send = async (key: string, value: number, timestamp?: number): Promise<void> => {
    await words.send({ key, value, ...(timestamp === undefined ? {} : { timestamp }) })
  }
  beforeAll(() => app.start())
  afterAll(() => app.stop())

  /** Runs a command; `stop` is the signal of a person. */
  function run(...typed: readonly string[]) {
    const out = { stdout: '', stderr: '' }
    const terminal = {
      stdout: { write: (text: string) => void (out.stdout += text) },
      stderr: { write: (text: string) => void (out.stderr += text) },
      env: {},
    }
    const before = new Set(process.listeners('SIGINT'))
    const code = runCli(typed, { app: app[commandLine], appFile: '/somewhere/app.ts', terminal })
    const stop = (): void => {
      for (const listener of process.listeners('SIGINT')) if (!before.has(listener)) listener('SIGINT')
    }
    return { out, code, stop }
  }

  it('watches a key or a range at a running worker until a signal, and writes no control characters', async () => {
    const at = ['--watch', '--worker', app.web.url ?? 'no site']
    const key = run('table', 'counts', 'milk', ...at)
    const range = run('table', 'counts', '--prefix', 'm', '--json', ...at)
    await expect.poll(() => key.out.stdout).toBe('milk  deleted\n')
    await send('milk', 1)
    await expect.poll(() => key.out.stdout).toContain('milk  1\n')
    await expect.poll(() => range.out.stdout).toContain('milk')
    await send('m\u001b[2J', 2)
    await send('milk', 0)
    await expect.poll(() => range.out.stdout).toContain('deleted')
    await expect.poll(() => range.out.stdout).toContain('2J')
    await expect.poll(() => key.out.stdout).toMatch(/1\nmilk {2}deleted\n$/)
    for (const each of [key, range]) each.stop()
    expect(await Promise.all([key.code, range.code])).toEqual([0, 0])
    expect(key.out.stdout).toBe('milk  deleted\nmilk  1\nmilk  deleted\n')
    const lines = range.out.stdout.trimEnd().split('\n')
    expect(range.out.stdout).not.toContain('\u001b')
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      expect.arrayContaining([
        { name: 'counts', key: 'milk', value: 1 },
        { name: 'counts', key: 'm\u001b[2J', value: 2 },
        { name: 'counts', key: 'milk', deleted: true },
      ]),
    )
  })

  it('shows the windows of a key: all, those of a range, or that of a time', async () => {
    await send('tea', 1, START)
    await send('tea', 2, START + 60_000)
    const windows = [1, 2].map((value, n) => ({ start: START + n * 60_000, end: START + (n + 1) * 60_000, value }))
    const shown = async (...typed: readonly string[]): Promise<unknown> => {
      const { out, code } = run('table', 'counts-tumbling-1m', 'tea', '--json', ...typed)
      await code
      return JSON.parse(out.stdout).value
    }
    await expect.poll(() => shown()).toEqual(windows)
    expect(await shown('--at', '2026-03-01T08:00:59Z')).toEqual(windows[0])
    expect(await shown('--from', '2026-03-01T08:01Z')).toEqual([windows[1]])
    expect(await shown('--to', '2026-03-01T08:01Z')).toEqual([windows[0]])
  })

  it.each([
    [['counts', 'milk', '--at', '1h'], '--at with a key is for windowed tables'],
    [['counts', '--at', '1h'], 'name it behind the table'],
    [['counts-tumbling-1m', 'tea', '--at', 'soon'], '--at takes a time'],
    [['counts', 'milk', '--prefix', 'm', '--watch'], 'leave the key out'],
  ])('%j is refused', async (typed, text) => {
    const { out, code } = run('table', ...typed)
    expect([await code, out.stderr]).toEqual([2, expect.stringContaining(text)])
  })

  it('says why a watch is refused', async () => {
    const { out, code } = run('table', 'counts-tumbling-1m', '--watch', '--worker', app.web.url ?? 'no site')
    expect([await code, out.stderr]).toEqual([1, expect.stringContaining('cannot be watched by ranges')])
  })
})
