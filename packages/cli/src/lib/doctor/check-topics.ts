import type { AppDescription, TopicDescription } from '@millrace/core'
import { note, ok, wrong, type Finding } from './finding.ts'

/** Partition counts of the topics that the broker has. */
export type PartitionCounts = ReadonlyMap<string, number>

/** Whether the app's topics are there, as declared. */
export function checkTopics(topics: readonly TopicDescription[], existing: PartitionCounts): readonly Finding[] {
  const findings = topics.flatMap((topic) => checkTopic(topic, existing.get(topic.name)))
  const good = topics.length - findings.length
  if (topics.length === 0) return [ok('topics', 'The app declares no topics.')]
  return good === 0 ? findings : [ok('topics', `${count(good, 'topic')} as declared.`), ...findings]
}

function checkTopic({ name, partitions, created }: TopicDescription, found: number | undefined): readonly Finding[] {
  if (found === undefined) {
    return created
      ? [note('topics', `Topic "${name}" is not there yet; the first worker creates it.`)]
      : [wrong('topics', `Topic "${name}" does not exist, and the app is not to create it.`, 'Create it.')]
  }
  if (partitions === undefined || partitions === found) return []
  return [
    wrong(
      'topics',
      `Topic "${name}" is declared with ${count(partitions, 'partition')}; the broker has ${found}.`,
      `Declare it with ${found}, or leave the count out.`,
    ),
  ]
}

/** Whether tables fit the topics that agents read: a table has the partitions of the topic that its keys come from. */
export function checkTables(
  { agents, tables, topics }: Pick<AppDescription, 'agents' | 'tables' | 'topics'>,
  existing: PartitionCounts,
): readonly Finding[] {
  const declared = new Map(topics.map(({ name, partitions }) => [name, partitions]))
  const sources = [...new Set(agents.flatMap((agent) => agent.topics))].map(
    (name) => [name, existing.get(name) ?? declared.get(name)] as const,
  )
  const counts = new Set(sources.flatMap(([, partitionCount]) => partitionCount ?? []))
  // A topic that is neither there nor declared with a count may turn out to have any.
  const isPartial = sources.some(([, partitionCount]) => partitionCount === undefined)
  const kept = tables.filter(({ kind }) => kind !== 'global')
  const findings = kept.flatMap(({ name, changelog, partitions }): readonly Finding[] => {
    const found = existing.get(changelog)
    const listed = sources.map(([topic, partitionCount]) => `${topic} ${partitionCount ?? 'not there yet'}`).join(', ')
    if (found !== undefined && partitions !== undefined && found !== partitions)
      return [
        wrong(
          'tables',
          `Table "${name}" is declared with ${count(partitions, 'partition')}; its changelog ${changelog} has ${found}.`,
          `Declare it with ${found}, or begin anew with: millrace reset.`,
        ),
      ]
    const own = found ?? partitions
    if (own !== undefined && counts.size > 0 && !isPartial && !counts.has(own))
      return [
        wrong(
          'tables',
          `Table "${name}" has ${count(own, 'partition')}, which no topic has that an agent reads: ${listed}.`,
          'Give the table the partition count of the topic that its keys come from.',
        ),
      ]
    if (own === undefined && counts.size > 1)
      return [
        note(
          'tables',
          `How many partitions table "${name}" gets cannot be told from its sources, for they differ: ${listed}.`,
          'Set partitions on the table.',
        ),
      ]
    return []
  })
  if (findings.length > 0) return findings
  if (kept.length === 0) return [ok('tables', 'The app has no partitioned tables.')]
  return [ok('tables', `${count(kept.length, 'table')} partitioned as the topics are.`)]
}

/** `1 topic`, `2 topics`. */
export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
