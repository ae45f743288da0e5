import { spawn } from 'node:child_process'
import { open as openFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually, within } from '@millrace/conformance'
import { type Logger, NO_HEADERS, type OutgoingRecord, type RecordBatch, systemClock } from '@millrace/core'
import type { BrokenBatches, Transport } from '@millrace/core/driver'
import { describeOwnKafka } from '@millrace/kafka-for-tests'
import { describe, expect, test } from 'vitest'
import type { KafkaTransportOptions } from './kafka-transport-options.ts'
import { createKafkaTransport } from './kafka-transport.ts'
import { memberOptions } from './member-options.fixture.ts'

const clock = systemClock()
const OPEN = { guard: (): void => {} }

/** `tries` has every attempt, even those that cause no warning. */
function recorder(): { readonly log: Logger; readonly warnings: string[]; readonly tries: string[] } {
  const warnings: string[] = []
  const tries: string[] = []
  const warn = (_fields: object, message: string): void => {
    warnings.push(message)
    tries.push(message)
  }
  return { warnings, tries, log: { debug: (_, message) => tries.push(message), info: () => {}, error: () => {}, warn } }
}

describe('no broker', () => {
  test('connect gives up after its time-out with BROKER_UNREACHABLE; each attempt is logged, one of them as a warning', async () => {
    const { log, warnings, tries } = recorder()
    const transport = createKafkaTransport({ brokers: ['127.0.0.1:1'], clientId: 'nobody' }, { clock, log })
    const startedMs = clock.monotonic()
    await expect(transport.connect({ timeoutMs: 700 })).rejects.toMatchObject({
      code: 'BROKER_UNREACHABLE',
      detail: expect.stringContaining('kafka://127.0.0.1:1'),
    })
    expect(clock.monotonic() - startedMs).toBeLessThan(2_000)
    expect(tries.filter((text) => text.includes('connecting for the first time')).length).toBeGreaterThan(2)
    expect(warnings).toEqual([
      expect.stringMatching(
        /^Kafka broker 127\.0\.0\.1:1 cannot be reached: .*Waiting: connecting for the first time\.$/,
      ),
    ])
    expect(transport.brokers()).toMatchObject([{ broker: '127.0.0.1:1', isReachable: false }])
    await transport.close()
  })
})

describeOwnKafka('a broker that dies and comes back', {}, (kafka) => {
  const brokers = kafka.brokers.split(',')
  const connect = async (log: Logger, options: Partial<KafkaTransportOptions> = {}): Promise<Transport> => {
    const transport = createKafkaTransport({ brokers, clientId: 'outage', ...options }, { clock, log })
    await transport.connect({ timeoutMs: 10_000 })
    return transport
  }

  test('sending, reading, commits and membership resume by themselves', { timeout: 90_000 }, async () => {
    const { log, warnings, tries } = recorder()
    const transport = await connect(log)
    const topic = 'survives'
    await transport.admin().createTopics([{ name: topic, partitions: 2, replicationFactor: -1, config: {} }])
    const producer = transport.producer()
    const reader = transport.reader({ isolation: 'read-committed' })
    const read: string[] = []
    void (async () => {
      for await (const batch of reader.batches())
        for (const { value } of batch.records) read.push(value?.toString() ?? '')
    })()
    for (const partition of [0, 1]) reader.assign({ topic, partition }, 0)
    const events: string[] = []
    const consumer = transport.consumer({
      ...memberOptions(topic, ({ members }) => ({
        assignments: new Map(members.slice(0, 1).map(({ id }) => [id, [{ topic, partition: 0 }]])),
        groupData: Buffer.alloc(0),
      })),
      groupId: 'survivors',
      listener: {
        onRevoke: async () => void events.push('revoke'),
        onAssign: async () => void events.push('assign'),
        onLost: async () => void events.push('lost'),
      },
    })
    await consumer.start()
    await producer.send([record(topic, 'before')], OPEN)
    await eventually(() => read.includes('before'), { what: 'the record before' })

    await kafka.kill(1)
    const sending = producer.send([record(topic, 'during')], OPEN)
    await eventually(() => tries.filter(isTry).length >= 4, { what: 'some tries', limitMs: 20_000 })
    expect(transport.brokers().map(({ isReachable }) => isReachable)).toEqual([false])
    const beatBefore = consumer.lastHeartbeatMs()
    await kafka.resume(1)
    expect(await within(sending, { what: 'the send to succeed', limitMs: 20_000 })).toEqual([{ ok: true, offset: 1 }])
    await eventually(() => read.includes('during'), { what: 'the record sent meanwhile', limitMs: 20_000 })
    await eventually(() => consumer.lastHeartbeatMs() > beatBefore, { what: 'a heartbeat', limitMs: 20_000 })
    await eventually(() => events.at(-1) === 'assign', { what: 'an assignment', limitMs: 20_000 })
    await within(
      consumer.commit([{ topic, partition: 0, offset: 2, metadata: 'm' }]).catch((error: unknown) => error),
      { what: 'a commit', limitMs: 20_000 },
    )
    expect(read.filter((value) => value === 'before')).toEqual(['before'])
    const [gone, ...more] = warnings.filter((text) => text.includes('cannot be reached'))
    expect(gone).toMatch(/^Kafka broker 127\.0\.0\.1:\d+ cannot be reached: .* Waiting: .+\.$/)
    // One line in ten seconds, however many loops wait for the broker, which was gone for less than half a minute.
    expect(more.length).toBeLessThan(3)
    expect(warnings.filter((text) => /is back after [\d.]+ m?s\.$/.test(text)).length).toBeLessThan(3)
    // The broker may have forgotten the member.
    const ofBrokers = warnings.filter((text) => !text.startsWith('The group has gone on'))
    expect(ofBrokers.at(-1)).toMatch(/^Kafka broker 127\.0\.0\.1:\d+ is back after [\d.]+ m?s\.$/)
    expect(transport.brokers().map(({ isReachable }) => isReachable)).toEqual([true])
    await transport.close()
  })

  test('requests to a broker that does not answer time out, and resume when it does', async () => {
    const { log, tries } = recorder()
    const transport = await connect(log, { requestTimeoutMs: 1_000, connectionTimeoutMs: 1_000 })
    const topic = 'frozen'
    await transport.admin().createTopics([{ name: topic, partitions: 1, replicationFactor: -1, config: {} }])
    const producer = transport.producer()
    const reader = transport.reader({ isolation: 'read-committed' })
    reader.assign({ topic, partition: 0 }, 0)
    const next = (): Promise<IteratorResult<RecordBatch>> => reader.batches()[Symbol.asyncIterator]().next()
    await producer.send([record(topic, 'before')], OPEN)
    expect((await next()).value?.nextOffset).toBe(1)
    const [broker] = kafka.pids
    if (broker === undefined) throw new Error('There is no broker.')
    const reading = next()
    process.kill(broker, 'SIGSTOP')
    try {
      const sending = producer.send([record(topic, 'during')], OPEN)
      // All waiting operations share the attempts: the first one is a request, the next ones are new connections.
      await eventually(() => tries.filter((text) => text.includes('timed out')).length >= 2, {
        what: 'requests to time out',
        limitMs: 20_000,
      })
      process.kill(broker, 'SIGCONT')
      expect((await within(sending, { what: 'the send' })).every(({ ok }) => ok)).toBe(true)
    } finally {
      process.kill(broker, 'SIGCONT')
    }
    expect((await within(reading, { what: 'the record' })).value?.nextOffset).toBeGreaterThan(1)
    await transport.close()
  })

  test('records damaged on disk are not delivered: they are fetched again, and then an error', async () => {
    const { log, tries } = recorder()
    const transport = await connect(log)
    const topic = 'damaged'
    await transport.admin().createTopics([{ name: topic, partitions: 1, replicationFactor: -1, config: {} }])
    for (const value of ['whole', 'to be damaged', 'behind'])
      await transport.producer().send([record(topic, value)], OPEN)
    const file = join(kafka.nodes[0]?.directory ?? '', 'data', `${topic}-0`, '00000000000000000000.log')
    const damage = async (from: string, to: string): Promise<void> => {
      const bytes = await readFile(file)
      const at = bytes.indexOf(from)
      expect(at).toBeGreaterThan(0)
      await using open = await openFile(file, 'r+')
      await open.write(Buffer.from(to), 0, to.length, at)
    }
    const read = async (
      brokenBatches: BrokenBatches = 'throw',
    ): Promise<{ readonly values: readonly string[]; readonly error: unknown }> => {
      const reader = transport.reader({ isolation: 'read-committed', brokenBatches })
      reader.assign({ topic, partition: 0 }, 0)
      const values: string[] = []
      try {
        for await (const { position, records, nextOffset, broken } of reader.batches()) {
          values.push(...records.map(({ value }) => String(value)))
          if (broken !== undefined) values.push(`broken from ${position} to ${nextOffset}`)
          if (nextOffset === 3) break
        }
        return { values, error: undefined }
      } catch (error) {
        return { values, error }
      } finally {
        await reader.close()
      }
    }
    await damage('to be damaged', 'to be dAmaged')
    expect(await within(read(), { what: 'the damage' })).toMatchObject({
      values: ['whole'],
      error: { code: 'BATCH_CORRUPT', detail: expect.stringMatching(/"damaged" partition 0, offset 1: .*checksum/) },
    })
    expect(tries.filter(isOfChecksum).length).toBe(2)
    expect(await within(read('deliver'), { what: 'what is behind the damage' })).toEqual({
      values: ['whole', 'broken from 1 to 2', 'behind'],
      error: undefined,
    })
    const again = read()
    await eventually(() => tries.filter(isOfChecksum).length === 5, { what: 'a try' })
    await damage('to be dAmaged', 'to be damaged')
    expect(await within(again, { what: 'the records' })).toEqual({
      values: ['whole', 'to be damaged', 'behind'],
      error: undefined,
    })
    await transport.close()
  })

  test(
    'closing without a broker ends within its limit, and leaves nothing that keeps the process alive',
    { timeout: 60_000 },
    async () => {
      const child = spawn(
        process.execPath,
        ['--import', 'tsx', join(import.meta.dirname, 'close-without-broker.fixture.ts'), kafka.brokers],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      )
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
      const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
      await eventually(() => output.includes('ready'), { what: 'the client to be busy', limitMs: 20_000 })
      await kafka.kill(1)
      child.stdin.end('close\n')
      expect(await within(exited, { what: 'the process to end by itself', limitMs: 15_000 })).toBe(0)
      const closedMs = Number(/closed in (\d+) ms/.exec(output)?.[1])
      expect(closedMs).toBeLessThan(5_500)
    },
  )
})

const isTry = (text: string): boolean => text.endsWith('Trying again.')
const isOfChecksum = (text: string): boolean => isTry(text) && text.includes('checksum')

function record(topic: string, value: string): OutgoingRecord {
  return {
    topic,
    partition: 0,
    key: null,
    value: Buffer.from(value),
    headers: NO_HEADERS,
    timestamp: 1_700_000_000_000,
  }
}
