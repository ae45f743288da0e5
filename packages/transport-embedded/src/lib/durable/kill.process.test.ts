import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { eventually } from '@millrace/conformance'
import { bundled } from '@millrace/programs-for-tests'
import { type Logger, NO_HEADERS, type OutgoingRecord, partitionsOf, type RawRecord, systemClock } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import { createEmbeddedTransport } from '../embedded-transport.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const PROGRAM = fileURLToPath(await bundled(new URL('./log-worker.fixture.ts', import.meta.url)))
const PARTITIONS = 8
const COUNT = 30_000

interface Worker {
  readonly process: ChildProcessByStdio<null, Readable, Readable>
  readonly acknowledged: () => readonly string[]
  readonly complaints: () => string
}

const workers: Worker[] = []
const directory = mkdtempSync(join(tmpdir(), 'millrace-kill-'))

function startWorker(name: string): Worker {
  const child = spawn(process.execPath, [PROGRAM, directory, name], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let complaints = ''
  child.stdout.on('data', (data: Buffer) => (output += data.toString()))
  child.stderr.on('data', (data: Buffer) => (complaints += data.toString()))
  const worker = { process: child, acknowledged: () => output.split('\n').slice(0, -1), complaints: () => complaints }
  workers.push(worker)
  return worker
}

/** For `eventually`: also ends when a worker that should run does not. */
function whileRunning(
  running: readonly (Worker | undefined)[],
  look: () => boolean | Promise<boolean>,
): () => boolean | Promise<boolean> {
  return () => {
    for (const worker of running) {
      if (worker !== undefined && worker.process.exitCode !== null)
        throw new Error(`A worker has ended: ${worker.complaints()}`)
    }
    return look()
  }
}

async function killHard(worker: Worker | undefined): Promise<void> {
  worker?.process.kill('SIGKILL')
  if (worker !== undefined) await once(worker.process, 'exit')
}

async function readAll(
  transport: Transport,
  topic: string,
  partitions: number,
): Promise<readonly (readonly RawRecord[])[]> {
  const reader = transport.reader({ isolation: 'read-committed' })
  const ends = await reader.offsets(partitionsOf(topic, partitions))
  const open = new Map(ends.filter(({ end }) => end > 0).map(({ partition, end }) => [partition, end]))
  for (const partition of open.keys()) reader.assign({ topic, partition }, 0)
  const records = ends.map((): RawRecord[] => [])
  for await (const batch of reader.batches()) {
    records[batch.partition]?.push(...batch.records)
    if (batch.nextOffset >= (open.get(batch.partition) ?? 0)) open.delete(batch.partition)
    if (open.size === 0) break
  }
  await reader.close()
  return records
}

afterEach(async () => {
  for (const worker of workers)
    if (worker.process.exitCode === null && worker.process.signalCode === null) await killHard(worker)
  rmSync(directory, { recursive: true, force: true })
})

describe('three processes on one log', () => {
  it(
    'kill -9 loses no acknowledged record, duplicates nothing in transactions, and the others take over',
    { timeout: 120_000 },
    async () => {
      const transport = createEmbeddedTransport({ directory }, { clock: systemClock(), log: silent })
      await transport.connect({ timeoutMs: 5000 })
      const admin = transport.admin()
      const spec = { replicationFactor: -1, config: {} }
      await admin.createTopics([
        { ...spec, name: 'in', partitions: PARTITIONS },
        { ...spec, name: 'out', partitions: PARTITIONS },
        { ...spec, name: 'acks', partitions: 1 },
      ])
      const ends = async (topic: string): Promise<number> => {
        const offsets = await admin.offsets(partitionsOf(topic, PARTITIONS), 'read-committed')
        return offsets.reduce((sum, { end }) => sum + end, 0)
      }
      const producer = transport.producer()
      const send = async (from: number, to: number): Promise<void> => {
        const records = Array.from({ length: to - from }, (_, index): OutgoingRecord => {
          const number = from + index
          return {
            topic: 'in',
            partition: number % PARTITIONS,
            key: null,
            value: Buffer.from(String(number)),
            headers: NO_HEADERS,
            timestamp: number,
          }
        })
        await producer.send(records, { guard: () => {} })
      }
      for (const name of ['a', 'b', 'c']) startWorker(name)
      await send(0, COUNT / 3)
      await eventually(
        whileRunning(workers, async () => (await ends('out')) > COUNT / 12),
        { what: 'the copy to be under way', limitMs: 40_000 },
      )
      await eventually(
        whileRunning(workers, () => workers.every(({ acknowledged }) => acknowledged().length > 20)),
        { what: 'acknowledged numbers', limitMs: 40_000 },
      )
      await killHard(workers[0])
      await send(COUNT / 3, (2 * COUNT) / 3)
      startWorker('d')
      await eventually(
        whileRunning(workers.slice(1), async () => (await ends('out')) > COUNT / 2),
        { what: 'the others to go on', limitMs: 40_000 },
      )
      await killHard(workers[1])
      await send((2 * COUNT) / 3, COUNT)
      await eventually(
        whileRunning(workers.slice(2), async () => (await ends('out')) >= COUNT),
        { what: 'everything to be copied', limitMs: 40_000 },
      )

      const copied = await readAll(transport, 'out', PARTITIONS)
      copied.forEach((records, partition) => {
        expect(records.map(({ value }) => Number(value?.toString()))).toEqual(
          Array.from({ length: COUNT / PARTITIONS }, (_, index) => index * PARTITIONS + partition),
        )
      })
      for (const worker of workers.slice(2)) {
        worker.process.kill('SIGTERM')
        if (worker.process.exitCode === null) await once(worker.process, 'exit')
        expect(worker.complaints()).toBe('')
      }
      const [acks = []] = await readAll(transport, 'acks', 1)
      const stored = acks.map(({ value }) => value?.toString() ?? '')
      const allAcknowledged = workers.flatMap(({ acknowledged }) => acknowledged())
      expect(allAcknowledged.filter((line) => !new Set(stored).has(line))).toEqual([])
      expect(new Set(stored).size).toBe(stored.length)
      await transport.close()
    },
  )
})
