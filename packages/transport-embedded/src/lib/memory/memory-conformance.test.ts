import { deferred, type Deferred, type Logger, systemClock } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import { transportSuite } from '@millrace/conformance'
import { ChangeSignal } from '../log/change-signal.ts'
import type { LogBackend } from '../log/log-backend.ts'
import { createMemoryLog } from './memory-log.ts'
import { createMemoryTransport, MemoryTransport } from '../memory-transport.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const log = createMemoryLog()

/** What a transport hears of the log. */
interface Hearing {
  readonly groups: ChangeSignal
  /** While it hears nothing. */
  deaf: Deferred<void> | undefined
}

const hearings = new WeakMap<Transport, Hearing>()

transportSuite({
  name: 'memory',
  create: () => {
    const hearing: Hearing = { groups: new ChangeSignal(), deaf: undefined }
    log.backend.changes.groups.listen(() => {
      if (hearing.deaf === undefined) hearing.groups.notify()
    })
    const backend: LogBackend = {
      changes: { records: log.backend.changes.records, groups: hearing.groups },
      read: (query) => log.backend.read(query),
      write: async (kind, change) => {
        const answer = await log.backend.write(kind, change)
        await hearing.deaf?.promise
        return answer
      },
    }
    const transport = createMemoryTransport({ ...log, backend }, { clock: systemClock(), log: silent })
    hearings.set(transport, hearing)
    return transport
  },
  accidents: {
    kill: (transport) => {
      if (transport instanceof MemoryTransport) transport.kill()
    },
    expire: (transport) => {
      if (transport instanceof MemoryTransport) transport.expire()
    },
    deafen: (transport) => {
      const hearing = hearings.get(transport)
      if (hearing === undefined) throw new Error('This transport is not one of the suite.')
      const deaf = (hearing.deaf = deferred())
      return () => {
        hearing.deaf = undefined
        deaf.resolve()
        hearing.groups.notify()
      }
    },
    compact: (topic) => log.compact(topic),
  },
})
