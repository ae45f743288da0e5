import { type CommitOffset, isMillraceError } from '@millrace/core'
import { progressTopic, type ReadingPages, withPages } from '@millrace/worker'
import type { Connection } from './declared-app.ts'

/**
 * Everything that the app's group has committed, as `decodeCommitMetadata` takes it. Where the metadata of work
 * finished beyond an offset cannot be read, only the offset is returned, which is enough to display.
 */
export async function committedOffsets(connection: Connection): Promise<readonly CommitOffset[]> {
  const committed = await connection.admin.committed(connection.app.surroundings.settings.id)
  const reading = pagesOf(connection)
  const found = committed.map(async (one) => {
    try {
      return await withPages([one], reading)
    } catch (error) {
      if (!isMillraceError(error, 'PROGRESS_MISSING')) throw error
      return [{ ...one, metadata: '' }]
    }
  })
  return (await Promise.all(found)).flat()
}

/** The topic that holds progress too large for commit metadata. */
export function pagesOf({ transport, client, app }: Connection): ReadingPages {
  return {
    topic: progressTopic(app.surroundings.settings.id),
    reader: () => transport.reader({ isolation: 'read-uncommitted' }),
    clock: client.clock,
  }
}
