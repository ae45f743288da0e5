import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { backupStore, createLmdbStore } from './lmdb-store.ts'
import { runProcess, type RunningProcess } from './fixtures/run-process.ts'

const running: RunningProcess[] = []
const directories: string[] = []

function start(...args: readonly string[]): RunningProcess {
  const started = runProcess('committing-process.ts', ...args)
  running.push(started)
  return started
}

function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-store-'))
  directories.push(directory)
  return directory
}

afterEach(async () => {
  for (const one of running.splice(0)) await one.kill()
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

test('after a kill at any moment every acknowledged commit is present and complete', { timeout: 120_000 }, async () => {
  const directory = makeDirectory()
  let acknowledged = 0
  let workerId: string | undefined
  for (let kill = 0; kill < 8; kill++) {
    const writer = start(directory)
    // At another moment of a commit each time.
    await writer.wrote(2 + 3 * kill)
    for (let turn = 0; turn < kill * 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    await writer.kill()
    const [first, ...rounds] = writer.lines
    acknowledged = Math.max(acknowledged, Number(rounds.at(-1) ?? acknowledged))

    const store = createLmdbStore({ directory })
    workerId ??= store.workerId
    expect(first).toBe(`open ${workerId}`)
    const partitions = await Promise.all([0, 1, 2].map((partition) => store.open('counts', partition)))
    const found = new Set<number>()
    for (const partition of partitions) {
      expect(partition.rows).toBe(200)
      found.add(partition.checkpoint()?.offset ?? 0)
      for (const [, value] of partition.range()) found.add(Number(value.toString()))
    }
    expect(found.size).toBe(1)
    expect([...found][0]).toBeGreaterThanOrEqual(acknowledged)
    await store.close()
  }
})

test(
  'one process has the store at a time, even while it is suspended; a killed one blocks no other',
  { timeout: 60_000 },
  async () => {
    const directory = makeDirectory()
    const holder = start(directory, 'hold')
    await holder.wrote(1)
    const inUse = expect.objectContaining({
      code: 'STORE_IN_USE',
      message: expect.stringContaining(`process ${holder.child.pid}`),
    })
    expect(() => createLmdbStore({ directory })).toThrow(inUse)
    const copy = makeDirectory()
    await expect(backupStore(directory, copy)).rejects.toThrow(inUse)
    holder.child.kill('SIGSTOP')
    expect(() => createLmdbStore({ directory })).toThrow(inUse)
    holder.child.kill('SIGCONT')
    const second = start(directory, 'hold')
    await expect(second.wrote(1)).rejects.toThrow('STORE_IN_USE')
    await holder.kill()
    await backupStore(directory, copy)
    const store = createLmdbStore({ directory })
    expect(() => createLmdbStore({ directory })).toThrow(
      expect.objectContaining({ code: 'STORE_IN_USE', message: expect.stringContaining('this process') }),
    )
    const third = start(directory, 'hold')
    await expect(third.wrote(1)).rejects.toThrow('STORE_IN_USE')
    await store.close()
    const fourth = start(directory, 'hold')
    await fourth.wrote(1)
    expect(fourth.lines).toEqual([`open ${store.workerId}`])
  },
)
