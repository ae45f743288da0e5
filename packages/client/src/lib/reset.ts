import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { errorText, isMillraceError, MillraceError, toError } from '@millrace/core'
import type { Admin } from '@millrace/core/driver'
import type { ResetPlan, ResetRequest } from '@millrace/core/operations'
import { encodeCommitMetadata, sendText } from '@millrace/worker'
import { appTopics } from './app-topics.ts'
import type { ClientApp, Connection } from './declared-app.ts'
import { planReset, topicFacts, undecided, warningsOf } from './reset-plan.ts'

/** What a reset of the app would do, as things are now. */
export async function resetPlan(connection: Connection, request: ResetRequest): Promise<ResetPlan> {
  const { admin, app } = connection
  const { storeDirectory } = app.drivers.place()
  const { id: groupId, offsetReset } = app.surroundings.settings
  const facts = await topicFacts(admin, await appTopics(connection), { groupId, to: request.to })
  const topics = planReset(facts, { request, offsetReset })
  return {
    groupId,
    topics,
    storeDirectory: storeDirectory !== undefined && existsSync(storeDirectory) ? storeDirectory : undefined,
    warnings: warningsOf(topics),
  }
}

/** Does what the plan says. Refuses with `COMMAND_USAGE`, `GROUP_NOT_EMPTY` and `STORE_IN_USE` before anything is changed. */
export async function resetApp({ admin, app }: Connection, plan: ResetPlan): Promise<void> {
  const { groupId, topics, storeDirectory } = plan
  const open = undecided(topics)
  if (open !== undefined) throw new MillraceError('COMMAND_USAGE', open)
  await requireNoMembers(admin, groupId)
  if (storeDirectory !== undefined) await assertUnused(app)
  // Offsets first: without them and with a changelog a worker refuses to start, the other way round it would miscount.
  // So nothing is committed before the changelogs are gone.
  await admin.deleteGroup(groupId)
  try {
    const gone = topics.filter(({ action }) => action === 'delete').map(({ name }) => name)
    if (gone.length > 0) await admin.deleteTopics(gone)
    if (storeDirectory !== undefined) await rm(storeDirectory, { recursive: true, force: true })
    // What agents were seen to send to stays known: this may be the last that is committed before the next reset.
    const offsets = topics.flatMap(({ name, offsets: all, sentBy }) => {
      const sends = new Set(sentBy.map((agent) => sendText({ agent, topic: name })))
      return all.map((each) => ({ ...each, metadata: encodeCommitMetadata(each.offset, new Map(), sends).text }))
    })
    if (offsets.length > 0) await admin.commit(groupId, offsets)
  } catch (thrown) {
    const cause = toError(thrown)
    throw new MillraceError(
      'RESET_UNFINISHED',
      `Committed offsets of "${groupId}" are deleted, the rest is not all done: ${errorText(cause)}`,
      { cause },
    )
  }
}

/** Throws `GROUP_NOT_EMPTY`, naming who is in the group. */
export async function requireNoMembers(admin: Pick<Admin, 'members'>, groupId: string): Promise<void> {
  const members = await admin.members(groupId)
  if (members.length === 0) return
  const who = members.map(({ id, host }) => `${id} (${host})`).join(', ')
  throw new MillraceError('GROUP_NOT_EMPTY', `Group "${groupId}" has members: ${who}.`)
}

/** Opens the store and closes it again. One that is damaged or of another version may be deleted all the same. */
async function assertUnused(app: ClientApp): Promise<void> {
  try {
    await (await app.drivers.store()).close()
  } catch (error) {
    if (!isMillraceError(error, 'STORE_CORRUPT', 'STORE_VERSION')) throw error
  }
}
