import type { AppDescription, MissingTopic, TopicDescription } from '@millrace/core/operations'
import { note, ok, wrong, type Finding } from './finding.ts'

/** Partition counts of the topics that the broker has. */
export type PartitionCounts = ReadonlyMap<string, number>

/**
 * Whether the app's topics exist as declared.
 *
 * @param missing topics that a worker would not find; `undefined` for apps of earlier versions, which do not report
 * them
 */
export function checkTopics(
  topics: readonly TopicDescription[],
  existing: PartitionCounts,
  missing?: readonly MissingTopic[],
): readonly Finding[] {
  const isUnknown = (topic: TopicDescription): boolean => !topic.created && !existing.has(topic.name)
  const uncreated = missing?.filter(({ created }) => !created) ?? topics.filter(isUnknown)
  const findings = [
    ...checkUncreated(uncreated),
    ...topics.flatMap((topic) => checkTopic(topic, existing.get(topic.name))),
  ]
  const good = topics.filter(({ name, partitions: declared }) => {
    const found = existing.get(name)
    return found !== undefined && (declared ?? found) === found
  }).length
  if (topics.length === 0 && findings.length === 0) return [ok('topics', 'The app declares no topics.')]
  return good === 0 ? findings : [ok('topics', `${count(good, 'topic')} as declared.`), ...findings]
}

function checkUncreated(missing: readonly (Pick<MissingTopic, 'name'> & Partial<MissingTopic>)[]): readonly Finding[] {
  if (missing.length === 0) return []
  const [what, them] = missing.length === 1 ? ['A topic is', 'it'] : [`${missing.length} topics are`, 'them']
  const commands = missing.flatMap(({ command }) => command ?? [])
  return [
    wrong(
      'topics',
      `${what} missing, and the app is not to create ${them}: ${missing.map(({ name }) => name).join(', ')}.`,
      [`Create ${them}. What handlers regroup by is named when a worker starts.`, ...commands].join('\n'),
    ),
  ]
}

function checkTopic({ name, partitions, created }: TopicDescription, found: number | undefined): readonly Finding[] {
  if (found === undefined)
    return created ? [note('topics', `Topic "${name}" is not there yet; the first worker creates it.`)] : []
  if (partitions === undefined || partitions === found) return []
  return [
    wrong(
      'topics',
      `Topic "${name}" is declared with ${count(partitions, 'partition')}; the broker has ${found}.`,
      `Declare it with ${found}, or leave the count out.`,
    ),
  ]
}

/** Whether tables fit the topics that agents read: a table needs as many partitions as the topic of its keys. */
export function checkTables(
  { agents, tables, topics }: Pick<AppDescription, 'agents' | 'tables' | 'topics'>,
  existing: PartitionCounts,
): readonly Finding[] {
  const declared = new Map(topics.map(({ name, partitions }) => [name, partitions]))
  const sources = [...new Set(agents.flatMap((agent) => agent.topics))].map(
    (name) => [name, existing.get(name) ?? declared.get(name)] as const,
  )
  const counts = new Set(sources.flatMap(([, partitionCount]) => partitionCount ?? []))
  // The partition count of a topic that neither exists nor declares a count is still open.
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
