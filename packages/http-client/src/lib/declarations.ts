import type { AgentClient } from './agent-client.ts'
import type { JsonOf } from './json.ts'
import type { SetClient, TableClient, TextTableClient } from './table-client.ts'
import type { WindowsClient } from './windows-client.ts'

// What tables and agents look like to a program that has their types alone: by their shapes, so that this package needs
// none of the app's.

/** The name that a declaration has in its type; `never` for what has none, and for `any`. */
type NameOf<T> = 0 extends 1 & T
  ? never
  : T extends { readonly name: infer N extends string }
    ? string extends N
      ? never
      : N
    : never

type ClientOfTable<T> = T extends {
  find(key: infer K): unknown
  get(key: never, options?: never): infer G
  values(): AsyncIterable<infer V>
}
  ? [K] extends [string]
    ? TextTableClient<K, V, G>
    : TableClient<K, V, G>
  : T extends { add(key: infer K, element: infer E): boolean; values(key: never): readonly unknown[] }
    ? SetClient<K, E>
    : never

type ClientOfWindows<T> = T extends {
  get(key: infer K): unknown
  givesClosed(window: never): boolean
  entries(): AsyncIterable<readonly [key: unknown, window: { readonly value: infer V }]>
}
  ? WindowsClient<K, V>
  : never

type ClientOfAgent<T> = T extends {
  cast(value: infer V): Promise<void>
  ask(value: never, options?: infer O): Promise<infer R>
}
  ? [R] extends [never]
    ? never
    : AgentClient<NonNullable<O> extends { readonly key?: infer K } ? K : never, V, JsonOf<R>>
  : never

/** The tables among declarations, by name. */
export type TableClientsOf<D> = {
  [E in keyof D as [ClientOfTable<D[E]>] extends [never] ? never : NameOf<D[E]>]: ClientOfTable<D[E]>
}

/** The tables by windows among declarations that were given a name, by name. */
export type WindowClientsOf<D> = {
  [E in keyof D as [ClientOfWindows<D[E]>] extends [never] ? never : NameOf<D[E]>]: ClientOfWindows<D[E]>
}

/** The agents among declarations that answer, by name. */
export type AgentClientsOf<D> = {
  [E in keyof D as [ClientOfAgent<D[E]>] extends [never] ? never : NameOf<D[E]>]: ClientOfAgent<D[E]>
}

/** What the compiler says when the declarations have no table and no agent. */
export interface NothingDeclared {
  readonly 'createClient takes the type of what the app declares, as in import type * as app from "./app.ts" and createClient<typeof app>(url): a module or an object with tables and agents, which createApp alone is not': never
}

/** The URL that `createClient` takes, if the declarations have a table or an agent. */
export type Declares<D> = [keyof TableClientsOf<D> | keyof WindowClientsOf<D> | keyof AgentClientsOf<D>] extends [never]
  ? NothingDeclared
  : string | URL
