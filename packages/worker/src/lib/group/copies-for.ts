import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { CopyPlace } from '../restore/standbys.ts'
import type { GroupData } from './group-data.ts'
import type { OwnData } from './own-data.ts'

/** The warm copies that the group's leader wants this worker to keep; not of tasks that it runs. */
export function copiesFor(
  self: string,
  { owners, warmUps: toCome, standbys }: Pick<GroupData, 'owners' | 'warmUps'> & Pick<OwnData, 'standbys'>,
  topics: Pick<TopicDirectory, 'partsWith' | 'copiesOf'>,
): readonly CopyPlace[] {
  const warmUps = new Set(warmUpsFor(self, { owners, warmUps: toCome }))
  return [...new Set([...standbys.keys(), ...warmUps])].flatMap((id) => {
    const rank = standbys.get(id)
    const isStandby = rank !== undefined && owners.get(id)?.member !== self
    const [partitions = 0, partition = 0] = id.split('-').map(Number)
    // A part that wants fewer copies than another one of its task has them on the first of the holders.
    const parts = topics
      .partsWith(partitions)
      .filter((part) => warmUps.has(id) || (isStandby && rank < topics.copiesOf(part)))
    return parts.map((part) => ({ task: id, part, partition }))
  })
}

/** The tasks that the group's leader wants to come to this worker once it has copies of their state. */
export function warmUpsFor(
  self: string,
  { owners, warmUps }: Pick<GroupData, 'owners' | 'warmUps'>,
): readonly string[] {
  return [...warmUps].flatMap(([task, to]) => (to === self && owners.get(task)?.member !== self ? [task] : []))
}
