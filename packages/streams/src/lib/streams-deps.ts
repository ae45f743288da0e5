import type { ClientContext, ScopeStorage, WorkerContext } from '@millrace/core'
import type { ReplyInboxes } from './asking/reply-inboxes.ts'

/** What topics, channels and agents need of the app they belong to. */
export interface StreamsDeps {
  readonly appId: string
  readonly scope: ScopeStorage
  /** The context for a call made here: that of the scope, else of the app's running worker, else of its client. */
  context(): Promise<ClientContext>
  /** The worker of this process, for channels used outside any scope. */
  runningWorker(): WorkerContext | undefined
  /** How long an ask waits that says nothing else. */
  askTimeoutMs(): number
  /** One per app: `new ReplyInboxes()`. */
  readonly replies: ReplyInboxes
}
