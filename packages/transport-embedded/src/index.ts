/// <reference types="node" preserve="true" />
export {
  createEmbeddedTransport,
  type EmbeddedTransport,
  type EmbeddedTransportOptions,
} from './lib/embedded-transport.ts'
export type { Durability } from './lib/durable/marker-file.ts'
export type { GroupPhase, GroupState, MemberState } from './lib/log/group-state.ts'
export { createMemoryLog, type MemoryLog } from './lib/memory/memory-log.ts'
export { createMemoryTransport, type MemoryTransport } from './lib/memory-transport.ts'
