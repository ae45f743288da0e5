import { HttpAgent } from './agent-client.ts'
import type { AgentClientsOf, Declares, TableClientsOf, WindowClientsOf } from './declarations.ts'
import type { HttpClientOptions } from './options.ts'
import { Requests } from './requests.ts'
import { HttpTable } from './table-client.ts'
import { HttpWindows } from './windows-client.ts'

/** The tables and agents of an app, over HTTP. Made by `createClient`. */
export interface HttpClient<D> {
  /** A table, a global table or a set table, by the name that the app gave it. */
  table<const N extends keyof TableClientsOf<D>>(name: N): TableClientsOf<D>[N]
  /** A table by windows, by the `name` that the app gave it. */
  windows<const N extends keyof WindowClientsOf<D>>(name: N): WindowClientsOf<D>[N]
  /** An agent that answers, by the name that the app gave it. The app declares it with `http: true`. */
  agent<const N extends keyof AgentClientsOf<D>>(name: N): AgentClientsOf<D>[N]
}

/**
 * A client of a running app, with the types of what the app declares. It holds no connection, and imports none of the app's code.
 *
 * @param url of any worker, or of what is in front of them, with the prefix if the site is mounted under one
 * @throws `TypeError` for a URL that is none, `RangeError` for a `timeout` that is none
 * @example
 * import type * as app from './app.ts'
 *
 * const client = createClient<typeof app>('http://orders:6066', { token })
 * const count = await client.table('counts').get('milk')
 */
export function createClient<D>(url: Declares<D>, options: HttpClientOptions = {}): HttpClient<D> {
  // `Declares` is text or a URL, or an error of the compiler.
  const requests = new Requests(url as string | URL, options)
  return {
    // What it asks for is typed by the declarations; the worker checks it.
    table: (name) => new HttpTable(requests, String(name)) as never,
    windows: (name) => new HttpWindows(requests, String(name)) as never,
    agent: (name) => new HttpAgent(requests, String(name)) as never,
  }
}
