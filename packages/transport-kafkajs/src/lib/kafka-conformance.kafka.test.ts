import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Socket } from 'node:net'
import { transportSuite } from '@millrace/conformance'
import { type Logger, systemClock } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import { describeKafka } from '@millrace/kafka-for-tests'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll } from 'vitest'
import { BrokerHealth } from './kafkajs/broker-health.ts'
import { BrokerLinks } from './cluster/broker-links.ts'
import { ClusterView, parseAddress } from './cluster/cluster-view.ts'
import { CoordinatorLink } from './cluster/coordinator.ts'
import { kafkaSettings } from './kafka-transport-options.ts'
import { createKafkaTransport, KafkaTransport } from './kafka-transport.ts'
import { leaveGroupRequest } from './wire/requests/groups.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

describeKafka('on a real broker', (brokers) => {
  const clientIds = new WeakMap<Transport, string>()
  const sockets = new MemberSockets()
  let clients = 0
  afterAll(() => sockets.close())
  transportSuite({
    name: 'kafka',
    sessionTimeoutMs: 3_000,
    create: () => {
      const clientId = `conformance-${process.pid}-${++clients}`
      const transport = createKafkaTransport({ brokers, clientId }, { clock: systemClock(), log: silent })
      clientIds.set(transport, clientId)
      sockets.follow(transport)
      return transport
    },
    accidents: {
      kill: (transport) => {
        if (transport instanceof KafkaTransport) transport.kill()
      },
      expire: (transport) => throwOutMembers(brokers, clientIds.get(transport) ?? ''),
      deafen: (transport) => sockets.deafen(transport),
    },
    skip: {
      'compacted records leave gaps that reading moves over':
        'Kafka compacts only segments that a later record has closed, so not on request; storage.kafka.test.ts does it Kafka’s way',
    },
  })
})

/** The connections between members of a group and their broker. */
class MemberSockets {
  readonly #sockets = new WeakMap<Transport, Set<Socket>>()
  /** The transport whose member is running. */
  readonly #current = new AsyncLocalStorage<Transport>()

  constructor() {
    subscribe('net.client.socket', this.#opened)
  }

  /** Tracks the connections of this transport's members from now on. */
  follow(transport: Transport): void {
    const make = transport.consumer.bind(transport)
    transport.consumer = (options) => {
      const consumer = make(options)
      const start = consumer.start.bind(consumer)
      return Object.assign(consumer, { start: () => this.#current.run(transport, start) })
    }
  }

  /** Stops reading answers to its members until the returned function is called. */
  deafen(transport: Transport): () => void {
    const sockets = [...(this.#sockets.get(transport) ?? [])]
    for (const socket of sockets) socket.pause()
    return () => {
      for (const socket of sockets) socket.resume()
    }
  }

  close(): void {
    unsubscribe('net.client.socket', this.#opened)
  }

  readonly #opened = (message: unknown): void => {
    const socket = typeof message === 'object' && message !== null && 'socket' in message ? message.socket : undefined
    const transport = this.#current.getStore()
    if (!(socket instanceof Socket) || transport === undefined) return
    const sockets = this.#sockets.get(transport) ?? new Set()
    this.#sockets.set(transport, sockets.add(socket))
    socket.once('close', () => sockets.delete(socket))
  }
}

/** Removes the members of one client from their groups, as an administrator can, while the client lives on. */
async function throwOutMembers(brokers: readonly string[], clientId: string): Promise<void> {
  const admin = new Kafka({ brokers: [...brokers], clientId: 'thrower', logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  const deps = { clock: systemClock(), log: silent }
  const health = new BrokerHealth(deps)
  const links = new BrokerLinks(kafkaSettings({ brokers, clientId: 'thrower' }), { ...deps, health })
  try {
    const view = new ClusterView(links, brokers.map(parseAddress), systemClock())
    await view.refresh()
    const { groups } = await admin.listGroups()
    const described = await admin.describeGroups(groups.map(({ groupId }) => groupId))
    for (const group of described.groups) {
      for (const member of group.members.filter((each) => each.clientId === clientId)) {
        const coordinator = new CoordinatorLink('group', group.groupId, { view, links })
        await coordinator.send(
          leaveGroupRequest({
            groupId: group.groupId,
            generation: -1,
            memberId: member.memberId,
            instanceId: undefined,
          }),
        )
      }
    }
  } finally {
    links.close()
    await admin.disconnect()
  }
}
