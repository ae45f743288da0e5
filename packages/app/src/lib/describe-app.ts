import type {
  AgentDescription,
  AppDescription,
  ResolvedSettings,
  TableDescription,
  TopicDescription,
} from '@millrace/core'
import { Topic, type AnyAgent, type AnyTopic } from '@millrace/streams'
import type { AnyGlobalTable, AnyTable } from '@millrace/tables'
import { SetTable } from '@millrace/tables'
import type { Definitions } from './definitions.ts'
import { ownVersion } from './own-version.ts'

/** An app as listings and the banner show it. */
export function describeApp(definitions: Definitions, settings: ResolvedSettings): AppDescription {
  return {
    id: settings.id,
    version: ownVersion(),
    broker: driverName(settings.broker),
    store: driverName(settings.store),
    processingGuarantee: settings.processingGuarantee,
    agents: [...definitions.agents.values()].map((agent) => describeAgent(agent, settings)),
    tables: [
      ...[...definitions.tables.values()].map(describeTable),
      ...[...definitions.globalTables.values()].map(describeGlobal),
    ],
    topics: topicsOf(definitions).map(describeTopic),
    commands: [...definitions.commands.values()],
  }
}

/** Every topic that the app file names: its own ones, then those that agents own or read. */
export function topicsOf({ topics, agents }: Pick<Definitions, 'topics' | 'agents'>): readonly AnyTopic[] {
  const all = new Map(topics)
  for (const { shape } of agents.values())
    for (const source of shape.sources) if (source instanceof Topic) all.set(source.name, source)
  return [...all.values()]
}

/** Settings refuse credentials in URLs, so there is nothing to hide. */
function driverName(driver: ResolvedSettings['broker'] | ResolvedSettings['store']): string {
  return typeof driver === 'string' ? driver : 'handed in by the app'
}

/** Names of the topics that an agent reads. */
export function topicsRead({ shape }: AnyAgent): readonly string[] {
  return shape.sources.filter((source) => source instanceof Topic).map((topic) => topic.name)
}

function describeAgent(agent: AnyAgent, settings: ResolvedSettings): AgentDescription {
  const { concurrency = settings.agent.concurrency, help = '' } = agent.shape
  const sinks = agent.shape.sinkTopics.map((topic) => topic.name)
  return { name: agent.name, topics: topicsRead(agent), sinks, concurrency, help }
}

function describeTable(table: AnyTable): TableDescription {
  const kind = table instanceof SetTable ? 'set' : 'table'
  return {
    name: table.name,
    kind,
    changelog: table.changelog.topic,
    ...shapeOf(table),
    partitions: table.partitions,
    help: table.help ?? '',
  }
}

function describeGlobal(table: AnyGlobalTable): TableDescription {
  const { name, source, help } = table
  return {
    name,
    kind: 'global',
    changelog: source.name,
    ...shapeOf(table),
    partitions: source.partitions,
    help: help ?? '',
  }
}

function shapeOf({ keyCodec, valueCodec }: AnyTable | AnyGlobalTable): Pick<TableDescription, 'key' | 'value'> {
  return { key: keyCodec, value: valueCodec }
}

function describeTopic({ name, declaration, keyExpected, key, value }: AnyTopic): TopicDescription {
  return {
    name,
    partitions: declaration.partitions,
    key: keyExpected ? key.name : undefined,
    value: value.name,
    internal: declaration.internal,
    created: declaration.create,
  }
}
