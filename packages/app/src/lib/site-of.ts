import { createSite, type Flow, type Site, type SiteSettings, type SiteWorker } from '@millrace/web'
import type { AppRuntime } from './app-runtime.ts'
import { describeApp } from './describe-app.ts'
import type { Definitions } from './definitions.ts'

/** The site of an app: its pages over whatever workers run. */
export function siteOf(definitions: Definitions, runtime: AppRuntime, workers: () => readonly SiteWorker[]): Site {
  const { scope, surroundings } = runtime
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
    workers,
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
