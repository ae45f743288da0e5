/** One combined broker and controller. */
export interface KafkaNode {
  /** Counted from 1. */
  readonly id: number
  readonly port: number
  /** Where clients are told to connect: `port`, unless something stands between. */
  readonly advertisedPort: number
  readonly controllerPort: number
  /** A second listener that asks for SASL credentials; 0 when there is none. */
  readonly saslPort: number
  /** Further listeners. */
  readonly listeners: readonly (Listener & { readonly port: number })[]
  readonly directory: string
}

/** A listener besides the plain one. */
export interface Listener {
  /** In capitals; clients reach it by `localhost`. */
  readonly name: string
  readonly protocol: 'SSL' | 'SASL_SSL'
  /** Of this listener alone: names without `listener.name.…`. */
  readonly settings: Readonly<Record<string, string>>
}

export interface SaslUser {
  readonly username: string
  readonly password: string
}

/** Settings for tests: quick rebalances, short sessions, quick compaction, topics only when asked for. */
export function serverProperties(
  node: KafkaNode,
  nodes: readonly KafkaNode[],
  user: SaslUser | undefined,
  further: Readonly<Record<string, string>> = {},
): string {
  const replicas = String(Math.min(nodes.length, 3))
  const saslListeners = user === undefined ? [] : [`SASL_PLAINTEXT://127.0.0.1:${node.saslPort}`]
  const furtherListeners = node.listeners.map(({ name, port }) => `${name}://localhost:${port}`)
  const protocols = node.listeners.map(({ name, protocol }) => `${name}:${protocol}`)
  const settings: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': String(node.id),
    'controller.quorum.voters': nodes.map((each) => `${each.id}@127.0.0.1:${each.controllerPort}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    listeners: [
      `PLAINTEXT://127.0.0.1:${node.port}`,
      ...saslListeners,
      ...furtherListeners,
      `CONTROLLER://127.0.0.1:${node.controllerPort}`,
    ].join(','),
    'advertised.listeners': [
      `PLAINTEXT://127.0.0.1:${node.advertisedPort}`,
      ...saslListeners,
      ...furtherListeners,
    ].join(','),
    'listener.security.protocol.map': [
      'PLAINTEXT:PLAINTEXT',
      'CONTROLLER:PLAINTEXT',
      'SASL_PLAINTEXT:SASL_PLAINTEXT',
      ...protocols,
    ].join(','),
    'log.dirs': `${node.directory}/data`,
    'num.partitions': '8',
    'auto.create.topics.enable': 'false',
    'default.replication.factor': replicas,
    'min.insync.replicas': '1',
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '8',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': nodes.length > 1 ? '2' : '1',
    'transaction.state.log.num.partitions': '8',
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': '1000',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1000',
    // No record every half second that says nothing.
    'metadata.max.idle.interval.ms': '0',
    'log.segment.bytes': '67108864',
    'log.cleaner.backoff.ms': '1000',
    'log.retention.check.interval.ms': '5000',
    // Tests stamp records with fixed times long ago: topics that say nothing of retention keep them.
    'log.retention.ms': '-1',
    ...further,
  }
  if (user !== undefined) {
    const login = `username="${user.username}" password="${user.password}"`
    const plain = `org.apache.kafka.common.security.plain.PlainLoginModule required ${login} user_${user.username}="${user.password}";`
    const scram = `org.apache.kafka.common.security.scram.ScramLoginModule required ${login};`
    settings['sasl.enabled.mechanisms'] = 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512'
    settings['listener.name.sasl_plaintext.plain.sasl.jaas.config'] = plain
    settings['listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config'] = scram
    settings['listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config'] = scram
  }
  for (const listener of node.listeners) {
    for (const [name, value] of Object.entries(listener.settings))
      settings[`listener.name.${listener.name.toLowerCase()}.${name}`] = value
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}
