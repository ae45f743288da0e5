import type { DeclaredApp } from '@millrace/client'
import { DefinedNames } from '@millrace/core'
import type { CommandDefinition } from '@millrace/core/operations'
import type { WorkerPart } from '@millrace/worker'
import { schedulerDeclaration, type Job } from '@millrace/scheduler'
import { deadLettersOf, Topic, type AnyAgent, type AnyTopic } from '@millrace/streams'
import {
  globalTablesPart,
  KeyTimers,
  SetTable,
  type AnyGlobalTable,
  type AnyTable,
  WindowedTable,
} from '@millrace/tables'

/** The declarations of the app file, by name and in order. Closed once a worker has started. */
export class Definitions extends DefinedNames {
  readonly topics: Map<string, AnyTopic> = new Map()
  readonly agents: Map<string, AnyAgent> = new Map()
  readonly tables: Map<string, AnyTable> = new Map()
  readonly globalTables: Map<string, AnyGlobalTable> = new Map()
  readonly jobs: Map<string, Job> = new Map()
  readonly commands: Map<string, CommandDefinition> = new Map()
  /** The same for the app's client. */
  readonly declared: DeclaredApp = {
    topics: () => {
      const owned = [...this.agents.values()].flatMap(({ shape }) => shape.sources.filter(isTopic))
      return [...new Map([...this.topics, ...owned.map((topic) => [topic.name, topic] as const)]).values()]
    },
    agents: () =>
      [...this.agents.values()].map(({ name, shape }) => {
        const topics = shape.sources.filter(isTopic)
        const inbox = topics.find((topic) => topic === shape.inbox)
        return {
          name,
          topics: topics.map((topic) => topic.name),
          sinks: shape.sinkTopics.map((topic) => topic.name),
          inbox,
          ownsInbox: inbox !== undefined && !this.topics.has(inbox.name),
          concurrency: shape.concurrency,
          retryDelaysMs: shape.retry?.delaysMs,
          help: shape.help ?? '',
        }
      }),
    tables: () => [
      ...[...this.tables.values()].map((table) => ({ kind: kindOf(table), table }) as const),
      ...[...this.globalTables.values()].map(
        (table) => ({ kind: 'global', table, replica: () => globalTablesPart([table]) }) as const,
      ),
    ],
    needs: (appId) => ({
      topics: [
        ...[...this.agents.values()].flatMap((agent) => deadLettersOf(appId, agent)),
        // Keeps what has run, and which jobs and agents are paused.
        ...(this.jobs.size + this.agents.size > 0 ? [schedulerDeclaration(appId)] : []),
      ],
      leads: [...this.jobs.values()].some(({ onLeader }) => onLeader),
    }),
  }
  /** Declares topics and tables to a worker, which does everything else with them. */
  readonly part: WorkerPart = {
    name: 'definitions',
    declare: (_worker, topology) => {
      for (const topic of this.topics.values()) topology.topic(topic.declaration)
      for (const table of this.tables.values()) {
        if (table instanceof KeyTimers) table.assertRead()
        topology.state(table)
      }
    },
    start: async () => {},
    ready: () => {},
    stop: async () => {},
  }
}

function kindOf(table: AnyTable): 'table' | 'set' | 'windowed' | 'timers' {
  if (table instanceof KeyTimers) return 'timers'
  if (table instanceof WindowedTable) return 'windowed'
  return table instanceof SetTable ? 'set' : 'table'
}

function isTopic(source: unknown): source is AnyTopic {
  return source instanceof Topic
}
