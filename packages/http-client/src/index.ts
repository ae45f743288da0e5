export { type HttpClient, createClient } from './lib/create-client.ts'
export type { HttpClientOptions, CallOptions, CallDuration, Fetch } from './lib/options.ts'
export type { Declares, NothingDeclared, TableClientsOf, WindowClientsOf, AgentClientsOf } from './lib/declarations.ts'
export { HttpClientError } from './lib/http-client-error.ts'
export type { JsonOf, SentAsJson, NotJson } from './lib/json.ts'
export type {
  ListOptions,
  PageOptions,
  ListRangeOptions,
  ReadKeyOptions,
  RowsPage,
  SetClient,
  WatchedChange,
  TableClient,
  TextTableClient,
  WatchCallOptions,
  WatchRangeCallOptions,
} from './lib/table-client.ts'
export type { ReadWindow, WindowReadOptions, WindowsClient, WindowSpan } from './lib/windows-client.ts'
export type { AgentClient, QuestionOptions } from './lib/agent-client.ts'
