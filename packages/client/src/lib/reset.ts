import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { errorText, isMillraceError, MillraceError, toError } from '@millrace/core'
import type { Admin } from '@millrace/core/driver'
import type { ResetPlan, ResetRequest } from '@millrace/core/operations'
import { encodeCommitMetadata, sendText } from '@millrace/worker'
import { appTopics } from './app-topics.ts'
import type { ClientApp, Connection } from './declared-app.ts'
import { planReset, topicFacts, undecided, warningsOf } from './reset-plan.ts'

/** What a reset of the app would do at this moment. */
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

/**
 * Carries out the plan. Refuses with `COMMAND_USAGE`, `GROUP_NOT_EMPTY` and `STORE_IN_USE` before changing anything.
 */
export async function resetApp({ admin, app }: Connection, plan: ResetPlan): Promise<void> {
  const { groupId, topics, storeDirectory } = plan
  const open = undecided(topics)
  if (open !== undefined) throw new MillraceError('COMMAND_USAGE', open)
  await requireNoMembers(admin, groupId)
  if (storeDirectory !== undefined) await assertUnused(app)
  // Offsets first: without them but with a changelog, a worker refuses to start; the other way round, it would count
  // wrongly. So nothing is committed before the changelogs are deleted.
  await admin.deleteGroup(groupId)
  try {
    const gone = topics.filter(({ action }) => action === 'delete').map(({ name }) => name)
    if (gone.length > 0) await admin.deleteTopics(gone)
    if (storeDirectory !== undefined) await rm(storeDirectory, { recursive: true, force: true })
    // Keep the topics that agents were observed to send to: this may be the last commit before the next reset.
    const offsets = topics.flatMap(({ name, offsets: all, sentBy }) => {
      const sends = new Set(sentBy.map((agent) => sendText({ agent, topic: name })))
      return all.map((each) => ({ ...each, metadata: encodeCommitMetadata(each.offset, new Map(), sends).text }))
    })
    if (offsets.length > 0) await admin.commit(groupId, offsets)
  } catch (thrown) {
    const cause = toError(thrown)
    throw new MillraceError(
      'RESET_UNFINISHED',
      `Committed offsets of "${groupId}" are deleted, but the reset is incomplete: ${errorText(cause)}`,
      { cause },
    )
  }
}

/** Throws `GROUP_NOT_EMPTY`, naming the group's members. */
export async function requireNoMembers(admin: Pick<Admin, 'members'>, groupId: string): Promise<void> {
  const members = await admin.members(groupId)
  if (members.length === 0) return
  const who = members.map(({ id, host }) => `${id} (${host})`).join(', ')
  throw new MillraceError('GROUP_NOT_EMPTY', `Group "${groupId}" has members: ${who}.`)
}

/** Opens the store and closes it again. A damaged store or one of another version may still be deleted. */
async function assertUnused(app: ClientApp): Promise<void> {
  try {
    await (await app.drivers.store()).close()
  } catch (error) {
    if (!isMillraceError(error, 'STORE_CORRUPT', 'STORE_VERSION')) throw error
  }
}
