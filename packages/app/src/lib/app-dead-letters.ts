import type { DeadLetters } from '@millrace/core'
import { createDeadLetters } from '@millrace/streams'
import type { AppRuntime } from './app-runtime.ts'
import type { Definitions } from './definitions.ts'

/** The dead letters of the app, over the connection that its commands share; opened by the first call. */
export function appDeadLetters(runtime: AppRuntime, definitions: Pick<Definitions, 'agents'>): DeadLetters {
  const withLetters = async <T>(work: (letters: DeadLetters) => Promise<T>): Promise<T> => {
    const transport = await runtime.transport()
    const admin = transport.admin()
    const { settings, clock } = runtime.surroundings
    const agents = [...definitions.agents.values()]
    try {
      return await work(createDeadLetters({ appId: settings.id, agents, transport, admin, clock }))
    } finally {
      await admin.close()
    }
  }
  return {
    list: (options) => withLetters((letters) => letters.list(options)),
    show: (agent, which, options) => withLetters((letters) => letters.show(agent, which, options)),
    replay: (agent, which, options) => withLetters((letters) => letters.replay(agent, which, options)),
  }
}
