import { partitionKey, type TopicPartition } from '@millrace/core'
import {
  type ScriptedApi,
  ScriptedCluster,
  type ScriptedClusterOptions,
  type Script,
  type ScriptedTopic,
} from '../scripted-cluster.fixture.ts'
import type { WireReader } from '../wire/wire-reader.ts'
import { WireWriter } from '../wire/wire-writer.ts'
import {
  answerProduce,
  producerId,
  type ProduceResult,
  readProduce,
  type SentBatch,
  type SentProduce,
} from './produce.fixture.ts'

/** What is said of a batch instead of storing it, if anything; `undefined` stores it. */
export type Verdict = (
  batch: SentBatch,
) => number | Partial<Omit<ProduceResult, keyof TopicPartition>> | 'nothing' | undefined

/** A cluster that stores what is produced, unless a test says otherwise. */
export class StoringCluster extends ScriptedCluster {
  /** Values by partition, in the order of their offsets. */
  readonly stored: Record<string, string[]> = {}
  /** The Produce requests so far. */
  readonly produced: SentProduce[] = []
  /** What becomes of the next batches. */
  verdict: Verdict = () => undefined

  constructor(
    topics: Readonly<Record<string, ScriptedTopic>>,
    scripts: Partial<Record<ScriptedApi, Script>> = {},
    options?: ScriptedClusterOptions,
  ) {
    super(topics, { InitProducerId: () => producerId(1000, 0), ...scripts }, options)
    if (scripts.Produce === undefined) this.on('Produce', (request) => this.store(request))
  }

  /** Values of the batches so far, request by request. */
  get batches(): readonly (readonly string[])[] {
    return this.produced.map(({ batches }) =>
      batches.map((batch) => `${partitionKey(batch)}: ${batch.values.join(' ')}`),
    )
  }

  /** The answer to a Produce request. */
  store(request: WireReader): WireWriter {
    const sent = readProduce(request)
    this.produced.push(sent)
    return answerProduce(
      new WireWriter(),
      sent.batches.flatMap((batch): readonly ProduceResult[] => {
        const { topic, partition, values } = batch
        const said = this.verdict(batch)
        if (said === 'nothing') return []
        if (typeof said === 'number') return [{ topic, partition, errorCode: said, baseOffset: -1 }]
        if (said !== undefined) return [{ topic, partition, errorCode: 0, baseOffset: -1, ...said }]
        const log = (this.stored[partitionKey(batch)] ??= [])
        const baseOffset = log.length
        log.push(...values)
        return [{ topic, partition, errorCode: 0, baseOffset }]
      }),
    )
  }
}
