import type { TopicCodecs, Tracing } from '@millrace/core'
import type { ClientContext, ContextStorage, WorkerContext } from '@millrace/worker'
import type { ReplyInboxes } from './asking/reply-inbox.ts'
import type { JoinStates } from './joins/join-states.ts'
import type { StreamStates } from './states/stream-states.ts'
import type { WindowStates } from './stream-windows.ts'

/** The app to which topics, channels and agents belong, as they see it. */
export interface StreamsContext {
  readonly appId: string
  readonly contexts: ContextStorage
  /** For a call made here: the current worker or client, else the app's running worker, else its client. */
  context(): Promise<ClientContext>
  /** The worker of this process, for channels used outside of workers. */
  runningWorker(): WorkerContext | undefined
  /** How long an ask waits, unless it says so itself. */
  askTimeoutMs(): number
  /** One per app: `new ReplyInboxes()`. */
  readonly replies: ReplyInboxes
  /** For the windows of streams; an app without them has none. */
  readonly windows?: WindowStates | undefined
  /** For joins of two streams; an app without them has none. */
  readonly joins?: JoinStates | undefined
  /** For what other operators keep; an app without them has none. */
  readonly states?: StreamStates | undefined
  /** For codecs that depend on their topic; an app without it has none. */
  readonly codecs?: TopicCodecs | undefined
  /** That of the app's sensor. */
  readonly tracing?: Tracing | undefined
}
