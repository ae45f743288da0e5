import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { isMillraceError, MillraceError, type Admin, type ResetScope, type StoreDriver } from '@millrace/core'
import type { Definitions } from './definitions.ts'
import { derivedTopics } from './own-topics.ts'

/** What a reset of the app would delete. */
export async function resetScope(
  admin: Admin,
  definitions: Definitions,
  { appId, storeDirectory }: { readonly appId: string; readonly storeDirectory: string | undefined },
): Promise<ResetScope> {
  const existing = (await admin.topics()).map(({ name }) => name)
  return {
    groupId: appId,
    topics: derivedTopics(appId, definitions, existing),
    storeDirectory: storeDirectory !== undefined && existsSync(storeDirectory) ? storeDirectory : undefined,
  }
}

/** Deletes what `scope` names. Throws `GROUP_NOT_EMPTY` and `STORE_IN_USE` before anything is gone. */
export async function resetApp(admin: Admin, scope: ResetScope, openStore: () => Promise<StoreDriver>): Promise<void> {
  const { groupId, topics, storeDirectory } = scope
  const members = await admin.members(groupId)
  if (members.length > 0) {
    const who = members.map(({ id, host }) => `${id} (${host})`).join(', ')
    throw new MillraceError('GROUP_NOT_EMPTY', `Group "${groupId}" has members: ${who}.`)
  }
  if (storeDirectory !== undefined) await assertUnused(openStore)
  // Offsets first: without them and with a changelog a worker refuses to start, the other way round it would miscount.
  await admin.deleteGroup(groupId)
  if (topics.length > 0) await admin.deleteTopics(topics)
  if (storeDirectory !== undefined) await rm(storeDirectory, { recursive: true, force: true })
}

/** Opens the store and closes it again. One that is damaged or of another version may be deleted all the same. */
async function assertUnused(openStore: () => Promise<StoreDriver>): Promise<void> {
  try {
    await (await openStore()).close()
  } catch (error) {
    if (!isMillraceError(error, 'STORE_CORRUPT', 'STORE_VERSION')) throw error
  }
}
