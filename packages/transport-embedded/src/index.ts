export { createMemoryLog, type MemoryLog } from './lib/memory/memory-log.ts'
export { createMemoryTransport, type MemoryTransport } from './lib/memory/memory-transport.ts'
export type { GroupPhase, GroupState, MemberState } from './lib/group/group-state.ts'
