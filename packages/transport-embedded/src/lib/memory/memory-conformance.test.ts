import { systemClock, type Logger } from '@millrace/core'
import { transportSuite } from '@millrace/conformance'
import { createMemoryLog } from './memory-log.ts'
import { createMemoryTransport, MemoryTransport } from '../memory-transport.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const log = createMemoryLog()

transportSuite({
  name: 'memory',
  create: () => createMemoryTransport(log, { clock: systemClock(), log: silent }),
  accidents: {
    kill: (transport) => {
      if (transport instanceof MemoryTransport) transport.kill()
    },
    expire: (transport) => {
      if (transport instanceof MemoryTransport) transport.expire()
    },
    deafen: (transport) => (transport instanceof MemoryTransport ? transport.deafen() : () => {}),
    compact: (topic) => log.compact(topic),
  },
})
