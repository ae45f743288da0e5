import { formatDuration } from '@millrace/core'
import type { TopicSettings } from '@millrace/core/driver'
import type { AppTopic, TopicRole } from '@millrace/core/operations'
import { count } from './check-topics.ts'
import { note, ok, wrong, type Finding } from './finding.ts'

/** A worker that was away for longer than half of this retention must rebuild its stores. */
const LEAST_TOMBSTONE_MS = 60 * 60 * 1000

/** Dead letters with shorter retention may be gone before anybody looks. */
const LEAST_LETTER_MS = 24 * 60 * 60 * 1000

/** Topics of which the last record of each key counts, with what is lost if older records expire. */
const KEYED: Readonly<Partial<Record<TopicRole, string>>> = Object.freeze({
  changelog: 'rows of the table that are still of use',
  global: 'rows of the global table that are still of use',
  progress: 'what agents have finished beyond a committed offset, so that no worker goes on there',
  scheduler: 'what it says of jobs that ran, so that one may run twice',
  replays: 'what it says of dead letters that were replayed, so that they may be sent twice',
})

/** Topics of which each record counts. */
const STREAMED: ReadonlySet<TopicRole> = new Set(['inbox', 'between', 'repartition', 'replies', 'dead letters'])

/** A topic with visible settings. */
export type SeenTopic = AppTopic & { readonly settings: TopicSettings }

/**
 * Checks cleanup policy, retention and size limits of the app's topics.
 *
 * @param alter the command or advice that changes a topic's setting on this broker
 */
export function checkRetention(topics: readonly AppTopic[], alter: Alter): readonly Finding[] {
  const seen = topics.filter(isSeen)
  const unseen = topics.filter((topic) => !isSeen(topic)).map(({ name }) => name)
  const findings = [
    ...seen.flatMap((topic) => checkCleanup(topic, alter)),
    ...checkAges(seen, alter),
    ...checkSizes(seen, alter),
  ]
  const hidden =
    unseen.length === 0
      ? []
      : [
          note(
            'retention',
            `The settings of ${unseen.join(', ')} cannot be seen with the rights of the app.`,
            'Allow it DescribeConfigs on its topics.',
          ),
        ]
  const good = seen.length - new Set(findings.map(({ topic }) => topic)).size
  return [
    ...(good === 0
      ? []
      : [ok('retention', `${count(good, 'topic')} keep${good === 1 ? 's' : ''} what the app needs.`)]),
    ...findings.map(({ finding }) => finding),
    ...hidden,
  ]
}

/** Words that set `setting` of a topic to `value`. */
export type Alter = (topic: string, setting: string, value: string) => string

export function isSeen(topic: AppTopic): topic is SeenTopic {
  return topic.settings !== undefined
}

interface TopicFinding {
  readonly topic: string
  readonly finding: Finding
}

function checkCleanup(topic: SeenTopic, alter: Alter): readonly TopicFinding[] {
  const { name, role, settings } = topic
  const lost = KEYED[role]
  const found =
    lost !== undefined ? checkKeyed(topic, lost, alter) : STREAMED.has(role) ? checkStreamed(topic, alter) : []
  const young = KEYED[role] !== undefined && settings.compacted && settings.tombstoneMs < LEAST_TOMBSTONE_MS
  const short = young
    ? [
        note(
          'retention',
          `${titleOf(topic)} keeps deletions for ${formatDuration(settings.tombstoneMs)} only: a worker that was away for longer than half of that builds its store anew.`,
          alter(name, 'delete.retention.ms', '86400000'),
        ),
      ]
    : []
  return [...found, ...short].map((finding) => ({ topic: name, finding }))
}

function checkKeyed(topic: SeenTopic, lost: string, alter: Alter): readonly Finding[] {
  const { name, settings } = topic
  const limit = limitOf(settings)
  const fix = alter(name, 'cleanup.policy', 'compact')
  if (limit !== undefined) {
    const policy = settings.compacted ? 'compact,delete' : 'delete'
    return [wrong('retention', `${titleOf(topic)} has cleanup.policy=${policy} and ${limit}: it loses ${lost}.`, fix)]
  }
  if (settings.compacted) return []
  return [
    note('retention', `${titleOf(topic)} is not compacted: it grows with every change, and so does reading it.`, fix),
  ]
}

function checkStreamed(topic: SeenTopic, alter: Alter): readonly Finding[] {
  const { name, role, settings } = topic
  const fix = alter(name, 'cleanup.policy', 'delete')
  if (settings.compacted) {
    const without = 'and refuses those without a key'
    return [
      role === 'dead letters'
        ? wrong(
            'retention',
            `${titleOf(topic)} is compacted: it keeps one letter of each key ${without}, which stops the agent.`,
            fix,
          )
        : wrong('retention', `${titleOf(topic)} is compacted: it drops records before they are read ${without}.`, fix),
    ]
  }
  const limit = limitOf(settings)
  // Millrace creates these topics without retention; earlier versions used the broker's default.
  if (role === 'repartition' && limit !== undefined)
    return [
      note(
        'retention',
        `${titleOf(topic)} has ${limit}, by the times that events carry: old events that are handled again, and those that a slow worker has not come to, may go before they are read. Workers delete what is read.`,
        alter(name, settings.retentionMs === undefined ? 'retention.bytes' : 'retention.ms', '-1'),
      ),
    ]
  if (role === 'dead letters' && settings.expires && (settings.retentionMs ?? Infinity) < LEAST_LETTER_MS)
    return [
      note(
        'retention',
        `${titleOf(topic)} keeps letters for ${formatDuration(settings.retentionMs ?? 0)} only.`,
        alter(name, 'retention.ms', '2592000000'),
      ),
    ]
  return []
}

/**
 * Kafka measures retention from the record's timestamp. An event that waited in its source, or is processed again
 * after a reset, is sent on with its old timestamp. A topic with shorter retention than the source may lose it unread.
 */
function checkAges(topics: readonly SeenTopic[], alter: Alter): readonly TopicFinding[] {
  const sources = topics.filter(({ role }) => role === 'source' || role === 'inbox')
  const longest = sources.toSorted((a, b) => keptMs(b) - keptMs(a))[0]
  if (longest === undefined) return []
  return topics
    .filter((topic) => topic.role === 'between' && keptMs(topic) < keptMs(longest))
    .map((topic) => ({
      topic: topic.name,
      finding: note(
        'retention',
        `${titleOf(topic)} keeps records for ${formatDuration(keptMs(topic))} from the time that they carry, ${longest.name} ${keptText(longest)}: old events that are handled again may go before they are read.`,
        alter(topic.name, 'retention.ms', String(keptMs(longest) === Infinity ? -1 : keptMs(longest))),
      ),
    }))
}

function keptMs({ settings }: SeenTopic): number {
  return settings.expires ? (settings.retentionMs ?? Infinity) : Infinity
}

function keptText(topic: SeenTopic): string {
  const ms = keptMs(topic)
  return ms === Infinity ? 'for ever' : `for ${formatDuration(ms)}`
}

/** A forwarded record is a little larger than the source record: a dead letter carries the failure in its headers. */
function checkSizes(topics: readonly SeenTopic[], alter: Alter): readonly TopicFinding[] {
  const sources = topics.filter(({ role }) => role === 'source' || role === 'inbox')
  const largest = sources.toSorted((a, b) => b.settings.maxBatchBytes - a.settings.maxBatchBytes)[0]
  if (largest === undefined) return []
  const most = largest.settings.maxBatchBytes
  return topics
    .filter(
      ({ role, settings }) => (role === 'dead letters' || role === 'repartition') && settings.maxBatchBytes < most,
    )
    .map((topic) => ({
      topic: topic.name,
      finding: note(
        'retention',
        `${titleOf(topic)} takes ${topic.settings.maxBatchBytes} bytes at most, ${largest.name} ${most}: a record that large cannot be passed on.`,
        alter(topic.name, 'max.message.bytes', String(most)),
      ),
    }))
}

/** The setting by which the oldest records expire; `undefined` if they never do. */
function limitOf({ expires, retentionMs, retentionBytes }: TopicSettings): string | undefined {
  if (!expires) return undefined
  if (retentionMs !== undefined) return `retention.ms=${retentionMs} (${formatDuration(retentionMs)})`
  return retentionBytes === undefined ? undefined : `retention.bytes=${retentionBytes}`
}

function titleOf({ name, role, owner }: AppTopic): string {
  switch (role) {
    case 'changelog':
      return `Topic ${name}, the changelog of table "${owner}",`
    case 'global':
      return `Topic ${name} of global table "${owner}"`
    case 'dead letters':
      return `Topic ${name}, the dead letters of agent "${owner}",`
    case 'repartition':
      return `Topic ${name}, in which agent "${owner}" regroups,`
    case 'inbox':
      return `Topic ${name} of agent "${owner}"`
    default:
      return `Topic ${name}`
  }
}
