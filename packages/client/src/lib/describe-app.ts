import type { ResolvedSettings } from '@millrace/core'
import type { AppDescription, TableDescription } from '@millrace/core/operations'
import type { DeclaredApp, DeclaredTable } from './declared-app.ts'

/** An app as listings and the banner show it, without its version and commands. */
export function describeApp(
  declared: DeclaredApp,
  settings: ResolvedSettings,
): Omit<AppDescription, 'version' | 'commands'> {
  return {
    id: settings.id,
    broker: driverName(settings.broker),
    store: driverName(settings.store),
    processingGuarantee: settings.processingGuarantee,
    agents: declared
      .agents()
      .map(({ name, topics, sinks, concurrency = settings.agent.concurrency, retryDelaysMs, help }) => ({
        name,
        topics,
        sinks,
        concurrency,
        ...(retryDelaysMs === undefined ? {} : { retryDelaysMs }),
        help,
      })),
    tables: declared.tables().map(describeTable),
    topics: declared.topics().map(({ name, declaration, keyExpected, key, value }) => ({
      name,
      partitions: declaration.partitions,
      key: keyExpected ? key.name : undefined,
      value: value.name,
      internal: declaration.internal,
      created: declaration.create && settings.topics.create,
    })),
  }
}

/** Settings refuse credentials in URLs, so there is nothing to hide. */
function driverName(driver: ResolvedSettings['broker'] | ResolvedSettings['store']): string {
  return typeof driver === 'string' ? driver : 'passed in by the app'
}

function describeTable(declared: DeclaredTable): TableDescription {
  const { kind, table } = declared
  const { name, keyCodec: key, valueCodec: value, help = '' } = table
  return declared.kind === 'global'
    ? {
        name,
        kind,
        changelog: declared.table.source.name,
        key,
        value,
        partitions: declared.table.source.partitions,
        help,
      }
    : { name, kind, changelog: declared.table.changelog.topic, key, value, partitions: declared.table.partitions, help }
}
