import type { Clock, DeadLetters, ResolvedSettings, Transport } from '@millrace/core'
import { createDeadLetters } from '@millrace/streams'
import type { Definitions } from './definitions.ts'

export interface AppDeadLettersDeps {
  readonly definitions: Pick<Definitions, 'agents'>
  /** Looked at by each call: the command line and the test kit change them. */
  readonly surroundings: { readonly settings: Pick<ResolvedSettings, 'id'>; readonly clock: Clock }
  /** A connection to the broker, opened by the first call that needs it and closed by its owner. */
  readonly transport: () => Promise<Transport>
}

/** The dead letters of an app, for its command line and its site. */
export function appDeadLetters({ definitions, surroundings, transport: open }: AppDeadLettersDeps): DeadLetters {
  const withLetters = async <T>(work: (letters: DeadLetters) => Promise<T>): Promise<T> => {
    const transport = await open()
    const admin = transport.admin()
    const { settings, clock } = surroundings
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
