import { AsyncLocalStorage } from 'node:async_hooks'
import type { WorkScope } from '@millrace/core'
import { type AgentsPart, agentsPart } from '../agents/agents-part.ts'
import type { AnyAgent } from '../agents/agent.ts'
import { ReplyInboxes } from '../asking/reply-inboxes.ts'
import type { StreamsDeps } from '../streams-deps.ts'
import { MemoryWorker } from './memory-worker.ts'

export interface StreamsForTests {
  readonly deps: StreamsDeps
  readonly worker: MemoryWorker
  readonly scope: AsyncLocalStorage<WorkScope>
  /** Starts a worker with these agents. */
  run(...agents: readonly AnyAgent[]): Promise<AgentsPart>
}

/** An app of topics and agents alone, with one memory worker. */
export function streamsForTests(options: ConstructorParameters<typeof MemoryWorker>[0] = {}): StreamsForTests {
  const worker = new MemoryWorker(options)
  const scope = new AsyncLocalStorage<WorkScope>()
  const deps: StreamsDeps = {
    appId: worker.appId,
    scope,
    context: async () => scope.getStore()?.client ?? worker,
    runningWorker: () => worker,
    replies: new ReplyInboxes(),
  }
  return {
    deps,
    worker,
    scope,
    async run(...agents) {
      const part = agentsPart(deps, agents, {
        errorPolicy: { retries: 3, backoffMs: 1, maxBackoffMs: 5, then: 'stop' },
      })
      await worker.start(part)
      return part
    },
  }
}

/** Waits for a condition, 5 s at most. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const limitMs = performance.now() + 5000
  while (!condition()) {
    if (performance.now() > limitMs) throw new Error(`It did not happen: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
