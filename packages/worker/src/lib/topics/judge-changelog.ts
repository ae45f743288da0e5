import { MillraceError } from '@millrace/core'
import type { TopicSettings } from '@millrace/core/driver'
import type { StateDefinition } from '../contracts/task.ts'

/** A fault in the settings of a changelog. */
export type ChangelogFault =
  | { readonly kind: 'loses rows'; readonly error: MillraceError }
  | { readonly kind: 'grows'; readonly message: string }

/**
 * Checks the settings of a changelog. When its stores are gone, a table exists only in its changelog: if the broker
 * deletes rows there, every recovery is silently wrong, so such a changelog is refused. A changelog that is merely not
 * compacted is complete, but grows without end.
 */
export function judgeChangelog(
  { name, changelog }: StateDefinition,
  settings: TopicSettings,
): ChangelogFault | undefined {
  const { topic, config } = changelog
  // A table that declares deletion knows how long its rows are needed.
  if (config['cleanup.policy']?.includes('delete') === true) return undefined
  const fix = `kafka-configs.sh --alter --entity-type topics --entity-name ${topic} --add-config cleanup.policy=compact`
  const limit = limitOf(settings)
  if (limit !== undefined) {
    const policy = settings.compacted ? 'compact,delete' : 'delete'
    return {
      kind: 'loses rows',
      error: new MillraceError(
        'CHANGELOG_LOSES_ROWS',
        `Topic ${topic} is the changelog of table ${name} and has cleanup.policy=${policy} with ${limit}: the broker deletes rows that the table still needs. Set it with: ${fix}`,
      ),
    }
  }
  if (settings.compacted) return undefined
  return {
    kind: 'grows',
    message: `Topic ${topic} is the changelog of table ${name} and is not compacted: it grows with every change, and so does recovery. Set it with: ${fix}`,
  }
}

/** The setting by which the topic's oldest records expire; `undefined` if they stay. */
function limitOf({ expires, retentionMs, retentionBytes }: TopicSettings): string | undefined {
  if (!expires) return undefined
  if (retentionMs !== undefined) return `retention.ms=${retentionMs}`
  return retentionBytes === undefined ? undefined : `retention.bytes=${retentionBytes}`
}
