import { type CommitOffset, isMillraceError, MillraceError, partitionKey, withTimeout } from '@millrace/core'
import { type Admin, type PartitionPosition, readStretches } from '@millrace/core/driver'
import type { SkipPlan } from '@millrace/core/operations'
import { withPages } from '@millrace/worker'
import { planSkip } from './plan-skip.ts'
import { appTopics } from './app-topics.ts'
import { pagesOf } from './committed.ts'
import type { Connection } from './declared-app.ts'
import { requireNoMembers } from './reset.ts'

/** How much longer than a transaction's timeout to wait for its end. */
const PATIENCE_MS = 30_000
/** Topics whose records are not events of agents: a skipped row or reply is lost for good. */
const NOT_READ_BY_AGENTS = new Set([
  'changelog',
  'global',
  'replies',
  'dead letters',
  'replays',
  'scheduler',
  'leader',
  'progress',
])

/** How to skip a record, or its whole batch if that cannot be read. */
export async function skipPlan(connection: Connection, wanted: PartitionPosition): Promise<SkipPlan> {
  const { admin, app } = connection
  const { topic, partition, offset } = wanted
  const { id: groupId } = app.surroundings.settings
  const where = partitionKey(wanted)
  await requireRead(connection, wanted)
  const [bounds] = await admin.offsets([wanted], 'read-uncommitted')
  const { beginning, end } = bounds ?? { beginning: 0, end: 0 }
  if (offset < beginning || offset >= end)
    throw refused(`${where} has offsets ${beginning} to ${end - 1}: there is nothing at ${offset}.`)
  const committed = await committedOr(connection, { topic, partition, offset: beginning, metadata: '' })
  if (offset < committed.offset)
    throw refused(`Every agent of "${groupId}" is past it: the group has committed ${where} up to ${committed.offset}.`)
  const found = await findStretch(connection, wanted, Math.max(committed.offset, beginning))
  const commit = planSkip(committed, found)
  if (commit === undefined) throw refused(`Every agent of "${groupId}" has finished it already.`)
  return { groupId, topic, partition, ...found, commit }
}

/** Carries out the plan. */
export async function skipOffset(admin: Admin, { groupId, commit }: SkipPlan): Promise<void> {
  await requireNoMembers(admin, groupId)
  await admin.commit(groupId, [commit])
}

async function requireRead(connection: Connection, { topic, partition }: PartitionPosition): Promise<void> {
  const { id } = connection.app.surroundings.settings
  const found = (await appTopics(connection)).find(({ name }) => name === topic)
  if (found === undefined || NOT_READ_BY_AGENTS.has(found.role)) {
    const what = found === undefined ? 'is none of its topics' : `has its ${found.role}`
    throw new MillraceError('COMMAND_USAGE', `No agent of the app "${id}" reads "${topic}": it ${what}.`)
  }
  if (partition >= found.partitions)
    throw new MillraceError(
      'PARTITION_MISSING',
      `Topic "${topic}" has ${found.partitions} partitions, and no ${partition}.`,
    )
}

/** Where a worker would begin. Waits for the end of a transaction that may still commit offsets. */
async function committedOr(connection: Connection, start: CommitOffset): Promise<CommitOffset> {
  const { admin, app, client } = connection
  const { id, offsetReset, transactionTimeoutMs } = app.surroundings.settings
  const limitMs = transactionTimeoutMs + PATIENCE_MS
  const asking = admin.committed(id, [start], { stable: true })
  const [committed] = await withTimeout(asking, limitMs, client.clock, () =>
    refused(`A transaction of "${id}" has been open for ${limitMs / 1000} s: its offsets may still be committed.`),
  )
  if (committed === undefined && offsetReset === 'latest')
    throw refused(`The group "${id}" has committed nothing of ${partitionKey(start)}: it begins at the end.`)
  if (committed === undefined) return start
  const [whole] = await withPages([committed], pagesOf(connection))
  return whole ?? committed
}

/**
 * Reads from the group's offset, as a worker does, and so finds a whole batch even if the offset is in its middle. If
 * the end of the batch is unknown, the given offset counts as its last.
 */
async function findStretch(
  { transport, client: { clock } }: Connection,
  wanted: PartitionPosition,
  start: number,
): Promise<Pick<SkipPlan, 'from' | 'to' | 'reason'>> {
  const { offset } = wanted
  const reader = transport.reader({ isolation: 'read-uncommitted', brokenBatches: 'deliver' })
  let position = start
  try {
    for await (const batch of readStretches(reader, [{ ...wanted, start, end: offset + 1 }], { clock })) {
      position = batch.nextOffset
      if (position <= offset) continue
      if (batch.broken !== undefined)
        return { from: batch.position, to: batch.nextOffset, reason: batch.broken.error.message }
      return { from: offset, to: offset + 1, reason: undefined }
    }
    throw refused(`The group is at ${start} of ${partitionKey(wanted)}, past ${offset}.`)
  } catch (error) {
    if (!isMillraceError(error, 'BATCH_CORRUPT', 'DECODE_FAILED')) throw error
    return { from: position, to: offset + 1, reason: error.message }
  }
}

function refused(why: string): MillraceError {
  return new MillraceError('SKIP_REFUSED', why)
}
