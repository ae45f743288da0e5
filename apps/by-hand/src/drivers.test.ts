import { storeSuite, transportSuite, webSuite } from '@millrace/conformance'
import { systemClock, type Logger } from '@millrace/core'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { CountedTransport } from './counted-transport.ts'
import { plainWeb } from './plain-web.ts'
import { SortedStore } from './sorted-store.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const memoryLog = createMemoryLog()
const inner = new WeakMap<object, ReturnType<typeof createMemoryTransport>>()

storeSuite({ name: 'sorted map', create: () => ({ open: () => new SortedStore(), remove: () => {} }) })

transportSuite({
  name: 'counted',
  create: () => {
    const memory = createMemoryTransport(memoryLog, { clock: systemClock(), log: silent })
    const counted = new CountedTransport(memory)
    inner.set(counted, memory)
    return counted
  },
  accidents: {
    kill: (transport) => inner.get(transport)?.kill(),
    expire: (transport) => inner.get(transport)?.expire(),
    compact: (topic) => memoryLog.compact(topic),
  },
  skip: {
    'a member that has missed a generation keeps nothing: others may have had its partitions in between':
      'a driver that passes everything on cannot make its log deaf; the memory transport runs the case itself',
  },
})

webSuite('plain', () => plainWeb)
