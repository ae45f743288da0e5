import type { OutgoingRecord } from '@millrace/core'
import type {
  Consumer,
  ConsumerOptions,
  Producer,
  StoreDriver,
  StorePartition,
  TransactionalProducer,
  Transport,
} from '@millrace/core/driver'

/** `transport` with some of its parts made otherwise. */
export function changed(
  transport: Transport,
  parts: Partial<Pick<Transport, 'consumer' | 'producer' | 'transactionalProducer'>>,
): Transport {
  return {
    capabilities: transport.capabilities,
    connect: (options) => transport.connect(options),
    consumer: parts.consumer ?? ((options) => transport.consumer(options)),
    producer: parts.producer ?? (() => transport.producer()),
    transactionalProducer: parts.transactionalProducer ?? ((options) => transport.transactionalProducer(options)),
    reader: (options) => transport.reader(options),
    admin: () => transport.admin(),
    brokers: () => transport.brokers(),
    close: () => transport.close(),
  }
}

/** Commits one further than it was asked to, where there is more to come. */
export function commitsTooFar(transport: Transport): Transport {
  return changed(transport, { consumer: (options: ConsumerOptions): Consumer => further(transport.consumer(options)) })
}

function further(inner: Consumer): Consumer {
  return {
    ...bound(inner),
    commit: (offsets) =>
      inner.commit(offsets.map((one) => (one.offset === 0 ? one : { ...one, offset: one.offset + 1, metadata: '' }))),
  }
}

export function bound(inner: Consumer): Consumer {
  return {
    start: () => inner.start(),
    batches: () => inner.batches(),
    seek: (partition, offset) => inner.seek(partition, offset),
    stop: (partitions) => inner.stop(partitions),
    pause: (partitions) => inner.pause(partitions),
    resume: (partitions) => inner.resume(partitions),
    committed: (partitions) => inner.committed(partitions),
    commit: (offsets) => inner.commit(offsets),
    lastHeartbeatMs: () => inner.lastHeartbeatMs(),
    rejoin: () => inner.rejoin(),
    close: () => inner.close(),
  }
}

/** The transport, with another `send` of the producers that are in no transaction. */
export function sending(transport: Transport, send: (inner: Producer) => Producer['send']): Transport {
  return changed(transport, {
    producer: () => {
      const inner = transport.producer()
      return {
        partitions: (topic) => inner.partitions(topic),
        brokerOf: (at) => inner.brokerOf(at),
        send: send(inner),
        close: () => inner.close(),
      }
    },
  })
}

/** Answers for every seventh changelog row as if it were stored. */
export function losesRows(transport: Transport): Transport {
  let rows = 0
  const send =
    (inner: Producer): Producer['send'] =>
    async (records, options) => {
      const lost = records.map(({ topic }) => topic.endsWith('-changelog') && ++rows % 7 === 0)
      const outcomes = await inner.send(
        records.filter((_, nth) => lost[nth] !== true),
        options,
      )
      let next = 0
      return records.map((_, nth) => (lost[nth] === true ? undefined : outcomes[next++]) ?? { ok: true, offset: 0 })
    }
  return changed(sending(transport, send), {
    transactionalProducer: (options): TransactionalProducer => {
      const inner = transport.transactionalProducer(options)
      return {
        init: () => inner.init(),
        begin: () => inner.begin(),
        partitions: (topic) => inner.partitions(topic),
        brokerOf: (at) => inner.brokerOf(at),
        send: send(inner),
        sendOffsets: (groupId, offsets) => inner.sendOffsets(groupId, offsets),
        commit: () => inner.commit(),
        abort: () => inner.abort(),
        close: () => inner.close(),
      }
    },
  })
}

/** Does not store every fifth record that an agent sends, and says it did. */
export function losesSends(transport: Transport): Transport {
  let sends = 0
  return sending(transport, (inner) => async (records, options) => {
    const kept = records.filter(({ topic }) => topic !== 'copies' || ++sends % 5 !== 0)
    await inner.send(kept, options)
    return records.map(() => ({ ok: true, offset: 0 }))
  })
}

/** Stores every sixth request again, as a producer whose answers get lost and that is not idempotent. */
export function storesTwice(transport: Transport): Transport {
  let sends = 0
  return sending(transport, (inner) => async (records, options) => {
    const outcomes = await inner.send(records, options)
    return ++sends % 6 === 0 ? inner.send(records.map(copyOf), options) : outcomes
  })
}

/** The same for its broker, and another one for the producer. */
export function copyOf({ topic, partition, key, value, headers, timestamp }: OutgoingRecord): OutgoingRecord {
  return { topic, partition, key, value, headers, timestamp }
}

/** Now and then a request of a transaction is in it twice. */
export function sendsTransactionsTwice(transport: Transport): Transport {
  return changed(transport, {
    transactionalProducer: (options): TransactionalProducer => {
      const inner = transport.transactionalProducer(options)
      let sends = 0
      return {
        init: () => inner.init(),
        begin: () => inner.begin(),
        partitions: (topic) => inner.partitions(topic),
        brokerOf: (at) => inner.brokerOf(at),
        send: async (records, sending) => {
          const outcomes = await inner.send(records, sending)
          if (++sends % 4 === 0) await inner.send(records, sending)
          return outcomes
        },
        sendOffsets: (groupId, offsets) => inner.sendOffsets(groupId, offsets),
        commit: () => inner.commit(),
        abort: () => inner.abort(),
        close: () => inner.close(),
      }
    },
  })
}

/** Its lease never runs out, whatever becomes of the session. */
export function ignoresItsLease(transport: Transport): Transport {
  return changed(transport, {
    consumer: (options) => {
      const inner = transport.consumer(options)
      return { ...bound(inner), lastHeartbeatMs: () => (inner.lastHeartbeatMs() === -Infinity ? -Infinity : Infinity) }
    },
  })
}

/** Asks for the lease when a send begins, and not again when the log writes its records. */
export function asksOnce(transport: Transport): Transport {
  return sending(transport, (inner) => (records, options) => {
    let isAsked = false
    const guard = (): void => {
      if (!isAsked) options.guard()
      isAsked = true
    }
    return inner.send(records, { ...options, guard })
  })
}

/** Shuts out earlier owners of a task only when it sends for the first time: long after it has asked for the offsets. */
export function fencesLate(transport: Transport): Transport {
  return changed(transport, {
    transactionalProducer: (options): TransactionalProducer => {
      const inner = transport.transactionalProducer(options)
      let fenced: Promise<void> | undefined
      const fence = (): Promise<void> => (fenced ??= inner.init())
      return {
        init: async () => {},
        begin: () => fence().then(() => inner.begin()),
        partitions: (topic) => fence().then(() => inner.partitions(topic)),
        brokerOf: (at) => inner.brokerOf(at),
        send: (records, sending) => inner.send(records, sending),
        sendOffsets: (groupId, offsets) => inner.sendOffsets(groupId, offsets),
        commit: () => inner.commit(),
        abort: () => inner.abort(),
        close: () => inner.close(),
      }
    },
  })
}

/** Partitions that were paused stay so. */
export function neverResumes(transport: Transport): Transport {
  return changed(transport, { consumer: (options) => ({ ...bound(transport.consumer(options)), resume: () => {} }) })
}

/** Every fifth partition of the store is not closed when it should be. */
export function leavesStoresOpen(store: StoreDriver): StoreDriver {
  let closed = 0
  return {
    capabilities: store.capabilities,
    open: async (table, partition): Promise<StorePartition> => {
      const inner = await store.open(table, partition)
      const close = inner.close.bind(inner)
      return Object.assign(inner, { close: async () => (++closed % 5 === 0 ? undefined : close()) })
    },
    checkpoint: (table, partition) => store.checkpoint(table, partition),
    commit: (changes) => store.commit(changes),
    close: () => store.close(),
  }
}
