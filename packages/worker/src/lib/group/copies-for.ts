import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { CopyPlace } from '../tasks/standbys.ts'
import type { GroupData } from './group-data.ts'

/** The warm copies that the group's leader wants this worker to keep; not of tasks that it runs. */
export function copiesFor(
  self: string,
  { owners, standbys }: Pick<GroupData, 'owners' | 'standbys'>,
  topics: Pick<TopicDirectory, 'partsWith' | 'copiesOf'>,
): readonly CopyPlace[] {
  return [...standbys].flatMap(([id, holders]) => {
    const rank = holders.indexOf(self)
    if (rank < 0 || owners.get(id)?.member === self) return []
    const [partitions = 0, partition = 0] = id.split('-').map(Number)
    // A part that wants fewer copies than another one of its task has them on the first of the holders.
    const parts = topics.partsWith(partitions).filter((part) => rank < topics.copiesOf(part))
    return parts.map((part) => ({ part, partitions, partition }))
  })
}
