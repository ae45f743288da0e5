import type { WorkerPart } from '@millrace/core'
import type { Definitions } from './definitions.ts'

/** Declares the app's topics and tables to a worker; everything else about them the worker does. */
export function definitionsPart({ topics, tables }: Pick<Definitions, 'topics' | 'tables'>): WorkerPart {
  return {
    name: 'definitions',
    declare: (_worker, topology) => {
      for (const topic of topics.values()) topology.topic(topic.declaration)
      for (const table of tables.values()) topology.part(table)
    },
    start: async () => {},
    ready: () => {},
    stop: async () => {},
  }
}
