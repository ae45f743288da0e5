import { MillraceError } from '@millrace/core'
import type { TopicSettings } from '@millrace/core/driver'
import type { StateDefinition } from '../contracts/task.ts'

/** What is wrong with the settings of a changelog. */
export type ChangelogFault =
  | { readonly kind: 'loses rows'; readonly error: MillraceError }
  | { readonly kind: 'grows'; readonly message: string }

/**
 * Once its stores are gone, a table exists only in its changelog. If the broker deletes rows there, every recovery is wrong
 * without an error: such a changelog is refused. One that is merely not compacted is right, and grows for ever.
 */
export function judgeChangelog(
  { name, changelog }: StateDefinition,
  settings: TopicSettings,
): ChangelogFault | undefined {
  const { topic, config } = changelog
  // Whoever declared it so knows how long its rows are of use.
  if (config['cleanup.policy']?.includes('delete') === true) return undefined
  const fix = `kafka-configs.sh --alter --entity-type topics --entity-name ${topic} --add-config cleanup.policy=compact`
  const limit = limitOf(settings)
  if (limit !== undefined) {
    const policy = settings.compacted ? 'compact,delete' : 'delete'
    return {
      kind: 'loses rows',
      error: new MillraceError(
        'CHANGELOG_LOSES_ROWS',
        `Topic ${topic} is the changelog of table ${name} and has cleanup.policy=${policy} with ${limit}: the broker deletes rows of the table that are still of use. Set it with: ${fix}`,
      ),
    }
  }
  if (settings.compacted) return undefined
  return {
    kind: 'grows',
    message: `Topic ${topic} is the changelog of table ${name} and is not compacted: it grows with every change, and so does recovery. Set it with: ${fix}`,
  }
}

/** By which setting the topic's oldest records go; `undefined` when they stay. */
function limitOf({ expires, retentionMs, retentionBytes }: TopicSettings): string | undefined {
  if (!expires) return undefined
  if (retentionMs !== undefined) return `retention.ms=${retentionMs}`
  return retentionBytes === undefined ? undefined : `retention.bytes=${retentionBytes}`
}
