export { type Client, createClient } from './lib/create-client.ts'
export type { ClientOptions, CallOptions, Duration, Fetch } from './lib/options.ts'
export type { Declares, NothingDeclared, TablesOf, WindowsOf, AgentsOf } from './lib/declarations.ts'
export { HttpClientError } from './lib/http-client-error.ts'
export type { Json, JsonInput, NotJson } from './lib/json.ts'
export type {
  ListOptions,
  PageOptions,
  RangeOptions,
  ReadOptions,
  RowsPage,
  SetClient,
  TableChange,
  TableClient,
  TextTableClient,
  WatchOptions,
  WatchRangeOptions,
} from './lib/table-client.ts'
export type { ReadWindow, WindowReadOptions, WindowsClient, WindowSpan } from './lib/windows-client.ts'
export type { AgentClient, AskOptions } from './lib/agent-client.ts'
