import type { CommandDefinition } from './app-command.ts'

/** An app as listings and the banner show it. */
export interface AppDescription {
  readonly id: string
  /** Of the `@millrace/app` package. */
  readonly version: string
  /** Without passwords. */
  readonly broker: string
  readonly store: string
  readonly processingGuarantee: string
  readonly agents: readonly AgentDescription[]
  readonly tables: readonly TableDescription[]
  readonly topics: readonly TopicDescription[]
  readonly commands: readonly CommandDefinition[]
}

export interface AgentDescription {
  readonly name: string
  /** Empty for agents of channels. */
  readonly topics: readonly string[]
  /** Topics that it is declared to send to. */
  readonly sinks?: readonly string[]
  readonly concurrency: number
  readonly help: string
}

export interface TableDescription {
  readonly name: string
  readonly kind: 'table' | 'global' | 'set'
  readonly changelog: string
  /** Codec names; of a set table's elements the value. */
  readonly key: string
  readonly value: string
  /** As declared; `undefined` follows the sources. */
  readonly partitions: number | undefined
  readonly help: string
}

export interface TopicDescription {
  readonly name: string
  /** As declared; `undefined` follows the settings or the source. */
  readonly partitions: number | undefined
  /** Codec names, `undefined` where none was declared. */
  readonly key: string | undefined
  readonly value: string | undefined
  /** Made by Millrace for the app itself. */
  readonly internal: boolean
  /** A worker creates it when it is missing. */
  readonly created: boolean
}
