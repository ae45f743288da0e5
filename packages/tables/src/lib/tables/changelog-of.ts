import type { TaskPart } from '@millrace/core'

/** The changelog topic of a table: compacted, since only the last row of a key counts. */
export function changelogOf(appId: string, name: string): TaskPart['changelog'] {
  return { topic: `${appId}-${name}-changelog`, config: { 'cleanup.policy': 'compact' } }
}
