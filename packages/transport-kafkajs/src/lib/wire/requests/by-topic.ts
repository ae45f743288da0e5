import type { TopicPartition } from '@millrace/core'
import type { WireReader } from '../wire-reader.ts'
import type { WireWriter } from '../wire-writer.ts'

/** Groups items by topic, in the order of first appearance: most requests nest partitions in topics. */
export function byTopic<T extends TopicPartition>(items: readonly T[]): [topic: string, items: T[]][] {
  const topics = new Map<string, T[]>()
  for (const item of items) {
    const list = topics.get(item.topic)
    if (list === undefined) topics.set(item.topic, [item])
    else list.push(item)
  }
  return [...topics]
}

/** Writes partitions nested in topics, each by `write`. */
export function writeByTopic<T extends TopicPartition>(
  writer: WireWriter,
  items: readonly T[],
  write: (item: T) => void,
): void {
  writer.array(byTopic(items), ([topic, list]) => writer.string(topic).array(list, write))
}

/** Reads partitions nested in topics into one list. */
export function readByTopic<T>(reader: WireReader, read: (topic: string) => T): T[] {
  return reader
    .array(() => {
      const topic = reader.text()
      return reader.array(() => read(topic))
    })
    .flat()
}
