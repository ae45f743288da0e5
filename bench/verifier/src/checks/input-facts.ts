import type { Transport } from '@millrace/core/driver'
import { headersOf, type Input, type InputRecord, inputRecords, type InputTopic } from '../lib/input-records.ts'
import { readTopic } from '../lib/read-topic.ts'
import type { VerifierRun } from '../lib/verifier-run.ts'
import { verifierTopics } from '../lib/verifier-topics.ts'
import type { Problems } from './problems.ts'
import { sameHeaders } from './same-headers.ts'

/** What is in the input topics, counted by plain code: all that the outputs are compared with. */
export interface InputFacts {
  readonly records: readonly InputRecord[]
  /** How often record `n` is in its topic. Once, unless the generator's producer has doubled it. */
  copies(n: number): number
}

/** How often record `n` is in a topic of the input. */
export function timesIn(input: InputFacts, topic: InputTopic, n: number): number {
  return input.records[n]?.topic === topic ? input.copies(n) : 0
}

/** Every record's number with how often something must be there for it. */
export function* eachOf({ records }: InputFacts, times: (n: number) => number): Generator<readonly [number, number]> {
  for (const { n } of records) yield [n, times(n)]
}

/** Reads the input, and checks that it is what was sent. */
export async function readInput(transport: Transport, run: VerifierRun, problems: Problems): Promise<InputFacts> {
  const topics = verifierTopics(run.id)
  const planned = [...inputRecords(run)]
  const copies = new Uint16Array(run.records)
  for (const topic of ['a', 'b', 'c', 'd'] as const) {
    await readTopic(transport, topics[topic], ({ key, value, headers, timestamp, partition, offset }) => {
      const { n }: Input = JSON.parse(String(value))
      // The end of a timed topic.
      if (n < 0) return
      const where = `${topic}/${partition}@${offset}`
      const record = planned[n]
      if (
        record === undefined ||
        record.topic !== topic ||
        record.key !== String(key) ||
        record.timestamp !== timestamp ||
        !sameHeaders(headers, headersOf(n))
      )
        problems.add('input that was not sent', `record ${n} at ${where}`)
      else copies[n] = (copies[n] ?? 0) + 1
    })
  }
  for (const { n, topic } of planned) if (copies[n] === 0) problems.add('lost in the input', `record ${n} of ${topic}`)
  return { records: planned, copies: (n) => copies[n] ?? 0 }
}
