import { formatDuration } from '@millrace/core'
import type { TopicSettings } from '@millrace/core/driver'
import type { AppTopic, TopicDescription } from '@millrace/core/operations'
import { command, withClient, type Command } from './command-context.ts'

/** `topics`: the topics that the app uses, with their state on the broker. */
export const topicsCommand: Command = command({
  name: 'topics',
  describe: 'List the topics of the app, with what the broker has of them and how long it keeps it',
  run: async ({ app, cli, json }) => {
    const rows = rowsOf(app.describe().topics, await withClient(app, (client) => client.appTopics()))
    if (json) cli.json(rows)
    else if (rows.length === 0) cli.say(`The app "${app.id}" has no topics.`)
    else {
      cli.table(
        rows.map(({ name, partitions, key, value, cleanup, retentionMs, role }) => ({
          name,
          partitions: partitions ?? 'missing',
          key: key ?? '',
          value: value ?? '',
          cleanup: cleanup === null ? '' : shownCleanup(cleanup, retentionMs),
          kind: role ?? '',
        })),
      )
    }
    return 0
  },
})

interface TopicRow {
  readonly name: string
  /** Partitions on the broker; `null` if the topic does not exist. */
  readonly partitions: number | null
  readonly declared: number | null
  readonly key: string | null
  readonly value: string | null
  readonly internal: boolean
  /** Its role in the app; `null` if the topic does not exist. */
  readonly role: AppTopic['role'] | null
  /** `cleanup.policy`; `null` if the topic does not exist or its settings are not visible. */
  readonly cleanup: readonly string[] | null
  /** `null` also means for ever. */
  readonly retentionMs: number | null
  readonly replicas: number | null
}

/** The topics in the app file, then the topics that Millrace creates for it. */
function rowsOf(declared: readonly TopicDescription[], found: readonly AppTopic[]): readonly TopicRow[] {
  const names = new Set(declared.map(({ name }) => name))
  return [
    ...declared.map(({ name, partitions, key, value, internal }) => ({
      name,
      ...onBroker(found.find((topic) => topic.name === name)),
      declared: partitions ?? null,
      key: key ?? null,
      value: value ?? null,
      internal,
    })),
    ...found
      .filter(({ name }) => !names.has(name))
      .map((topic) => ({
        name: topic.name,
        ...onBroker(topic),
        declared: null,
        key: null,
        value: null,
        internal: topic.internal,
      })),
  ]
}

function onBroker(
  topic: AppTopic | undefined,
): Pick<TopicRow, 'partitions' | 'role' | 'cleanup' | 'retentionMs' | 'replicas'> {
  const settings = topic?.settings
  return {
    partitions: topic?.partitions ?? null,
    role: topic?.role ?? null,
    cleanup: settings === undefined ? null : cleanupOf(settings),
    retentionMs: settings?.expires === true ? (settings.retentionMs ?? null) : null,
    replicas: settings?.replicas ?? null,
  }
}

function cleanupOf({ compacted, expires }: TopicSettings): readonly string[] {
  return [...(compacted ? ['compact'] : []), ...(expires ? ['delete'] : [])]
}

function shownCleanup(cleanup: readonly string[], retentionMs: number | null): string {
  if (cleanup.length === 0) return 'none'
  return cleanup
    .map((policy) =>
      policy === 'delete' && retentionMs !== null ? `delete after ${formatDuration(retentionMs)}` : policy,
    )
    .join(', ')
}
