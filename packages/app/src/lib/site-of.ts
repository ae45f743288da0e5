import { dashboard } from '@millrace/dashboard'
import { createSite, type Flow, type Site, type SiteSettings, type SiteWorker } from '@millrace/web'
import type { Clock, DeadLetters, Logger, ResolvedSettings, ScopeStorage } from '@millrace/core'
import { describeApp } from './describe-app.ts'
import type { Definitions } from './definitions.ts'
import { type Connections, siteRecords } from './site-records.ts'

/** What a site needs of the running side of its app. */
export interface SiteSurroundings extends Connections {
  readonly scope: ScopeStorage
  /** Looked up at each use: they are settled when the app starts. */
  readonly surroundings: { readonly settings: ResolvedSettings; readonly clock: Clock; readonly log: Logger }
  deadLetters(): DeadLetters
}

/** The site of an app: its pages over whatever workers run. */
export function siteOf(
  definitions: Definitions,
  runtime: SiteSurroundings,
  workers: () => readonly SiteWorker[],
): Site {
  const { scope, surroundings } = runtime
  const records = siteRecords(definitions, runtime)
  return createSite({
    scope,
    get clock() {
      return surroundings.clock
    },
    get log() {
      return surroundings.log
    },
    get settings(): SiteSettings {
      return surroundings.settings.web
    },
    get stallAfterMs() {
      return surroundings.settings.stallAfterMs
    },
    describe: () => describeApp(definitions, surroundings.settings),
    tables: () => definitions.tables.values(),
    globalTables: () => definitions.globalTables.values(),
    flows: () => declaredFlows(definitions),
    deadLetters: () => runtime.deadLetters(),
    records: () => records,
    workers,
    addition: dashboard,
  })
}

/** Where agents send, as far as it is declared: their sinks. */
function declaredFlows({ agents }: Definitions): readonly Flow[] {
  return [...agents.values()].flatMap(({ name, shape }) =>
    shape.sinkTopics.map((topic) => ({
      from: { kind: 'agent' as const, name },
      to: { kind: 'topic' as const, name: topic.name },
    })),
  )
}
