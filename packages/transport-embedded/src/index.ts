/// <reference types="node" preserve="true" />
export {
  createEmbeddedTransport,
  type EmbeddedTransport,
  type EmbeddedTransportOptions,
} from './lib/embedded-transport.ts'
export { copyLog, type LogPlace } from './lib/portable/copy-log.ts'
export { exportLog } from './lib/portable/export-log.ts'
export { hasLog, importLog, type ImportOptions } from './lib/portable/import-log.ts'
export type { LogSummary } from './lib/portable/log-text.ts'
export type { Durability } from './lib/durable/marker-file.ts'
export type { GroupPhase, GroupState, MemberState } from './lib/log/group-state.ts'
export { createMemoryLog, type MemoryLog } from './lib/memory/memory-log.ts'
export { createMemoryTransport, type MemoryTransport } from './lib/memory-transport.ts'
