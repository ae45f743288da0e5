import { systemClock, NO_HEADERS } from '@millrace/core'
import { Kafka, logLevel, CompressionTypes } from 'kafkajs'
import { createKafkaTransport } from './src/index.ts'
const log = { debug() {}, info() {}, warn(f: object, m: string) { console.log('WARN', m, f) }, error(f: object, m: string) { console.log('ERR', m, f) } }
const brokers = process.env.KAFKA_BROKERS!.split(',')
const N = Number(process.env.N ?? 1_000_000), P = Number(process.env.P ?? 4)
const t = createKafkaTransport({ brokers, clientId: 'perf' }, { clock: systemClock(), log })
await t.connect({ timeoutMs: 10000 })
const admin = t.admin()
const kafka = new Kafka({ brokers, clientId: 'raw', logLevel: logLevel.NOTHING })
const topic = 'perf-' + Date.now()
await admin.createTopics([{ name: topic, partitions: P, replicationFactor: -1, config: {} }, { name: topic + 'r', partitions: P, replicationFactor: -1, config: {} }])
const value = Buffer.from(JSON.stringify({ id: 123456, name: 'x'.repeat(70), n: 1 }))
const keys = Array.from({ length: 10000 }, (_, i) => Buffer.from('key-' + i))
const rate = (n: number, t0: number) => Math.round(n / (performance.now() - t0)) + 'k/s'
const p = t.producer()
async function ours(size: number, n: number, tp: string) {
  const t0 = performance.now()
  for (let i = 0; i < n; i += size) {
    const recs = []
    for (let j = i; j < Math.min(n, i + size); j++) recs.push({ topic: tp, partition: j % P, key: keys[j % 10000]!, value, headers: NO_HEADERS, timestamp: Date.now() })
    const out = await p.send(recs, { guard() {} })
    if (!out[0]!.ok) throw out[0]
  }
  return rate(n, t0)
}
const raw = kafka.producer({ createPartitioner: () => ({ message }) => message.partition!, allowAutoTopicCreation: false })
await raw.connect()
async function theirs(size: number, n: number, tp: string) {
  const t0 = performance.now()
  for (let i = 0; i < n; i += size) {
    const messages = []
    for (let j = i; j < Math.min(n, i + size); j++) messages.push({ partition: j % P, key: keys[j % 10000]!, value })
    await raw.send({ topic: tp, messages })
  }
  return rate(n, t0)
}
for (let r = 0; r < 2; r++) for (const size of [250, 500, 1000, 4000]) console.log('produce', size, 'ours', await ours(size, N / 8, topic), 'raw', await theirs(size, N / 8, topic + 'r'))
await ours(4000, N, topic + 'r')
async function readOurs() {
  const r = t.reader({ isolation: 'read-committed' })
  const refs = Array.from({ length: P }, (_, partition) => ({ topic: topic + 'r', partition }))
  const offs = await r.offsets(refs)
  let left = offs.reduce((s, o) => s + o.end, 0); const total = left
  const t0 = performance.now()
  for (const ref of refs) r.assign(ref, 0)
  const m = new Map<string, number>()
  let batches = 0
  for await (const b of r.batches()) { batches++; left -= b.records.length; for (const rec of b.records) m.set(rec.key!.latin1Slice(), rec.value!.length); if (left <= 0) break }
  const x = rate(total, t0)
  await r.close()
  return x + ' of ' + total + ' batches ' + batches
}
async function readRaw() {
  const c = kafka.consumer({ groupId: 'g' + Date.now(), maxWaitTimeInMs: 100 })
  await c.connect(); await c.subscribe({ topics: [topic + 'r'], fromBeginning: true })
  let left = N + N, t0 = 0; const m = new Map<string, number>()
  let total = 0
  const end = (await (async () => { const a = kafka.admin(); await a.connect(); const o = await a.fetchTopicOffsets(topic + 'r'); await a.disconnect(); return o })()).reduce((s, o) => s + Number(o.high), 0)
  left = end
  await new Promise<void>((done) => c.run({ autoCommit: false, partitionsConsumedConcurrently: P, eachBatch: async ({ batch }) => { if (!t0) t0 = performance.now(); for (const rec of batch.messages) m.set((rec.key as Buffer).latin1Slice(), (rec.value as Buffer).length); left -= batch.messages.length; if (left <= 0) done() } }))
  const x = rate(end, t0)
  await c.disconnect()
  return x
}
for (let r = 0; r < 3; r++) console.log('read ours', await readOurs(), 'raw', await readRaw(), 'rss', Math.round(process.memoryUsage.rss() / 1e6))
await raw.disconnect(); await t.close()
