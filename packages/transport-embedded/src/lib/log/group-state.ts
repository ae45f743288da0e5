import { partitionKey, type TopicPartition } from '@millrace/core'

/**
 * Kafka's group states. `preparing`: members finish their events in flight and join again; `completing`: all have
 * joined, and the leader computes the assignment; `stable`: every member can fetch it.
 */
export type GroupPhase = 'empty' | 'preparing' | 'completing' | 'stable'

export interface MemberState {
  readonly instanceId: string | undefined
  readonly topics: readonly string[]
  readonly data: Uint8Array
  /** Whether it has joined in the round under way (or in the last one, if the group is stable). */
  readonly joined: boolean
  /** The transport in which it lives. */
  readonly host: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
}

/** The complete state of a group. A plain value: each event makes a new one. */
export interface GroupState {
  readonly generation: number
  readonly phase: GroupPhase
  /** Name of the members' assignor. */
  readonly protocol: string | undefined
  readonly leader: string | undefined
  /** The oldest member first. */
  readonly members: ReadonlyMap<string, MemberState>
  /**
   * The assignments of `generation`; kept while the next round is prepared, because commits continue until it
   * completes.
   */
  readonly assignments: ReadonlyMap<string, readonly TopicPartition[]>
  readonly groupData: Uint8Array
  /** Data for single members, of those that have some. */
  readonly ownData: ReadonlyMap<string, Uint8Array>
}

export type GroupEvent =
  | {
      readonly type: 'join'
      readonly memberId: string
      readonly protocol: string
      readonly member: Omit<MemberState, 'joined'>
      /**
       * Whether it has an assignment of an earlier generation. If it was removed since, its partitions have had other
       * owners, and it may not return as if it had kept them.
       */
      readonly returning: boolean
    }
  | { readonly type: 'leave'; readonly memberId: string }
  | {
      readonly type: 'assign'
      readonly memberId: string
      readonly generation: number
      readonly assignments: ReadonlyMap<string, readonly TopicPartition[]>
      readonly groupData: Uint8Array
      readonly ownData?: ReadonlyMap<string, Uint8Array>
    }

/** `restored`: a static member came back and has its old assignment, without a rebalance. */
export type GroupOutcome = 'done' | 'restored' | 'protocol-differs' | 'stale'

export interface GroupStep {
  readonly state: GroupState
  readonly outcome: GroupOutcome
}

export const EMPTY_GROUP: GroupState = Object.freeze({
  generation: 0,
  phase: 'empty',
  protocol: undefined,
  leader: undefined,
  members: new Map<string, MemberState>(),
  assignments: new Map<string, readonly TopicPartition[]>(),
  groupData: new Uint8Array(0),
  ownData: new Map<string, Uint8Array>(),
})

/** The group after an event. Pure; late events change nothing (`stale`). */
export function stepGroup(state: GroupState, event: GroupEvent): GroupStep {
  switch (event.type) {
    case 'join':
      return join(state, event)
    case 'leave':
      return leave(state, event.memberId)
    case 'assign':
      return assign(state, event)
  }
}

/** Why a member may not commit these partitions in that generation; `undefined` if it may. */
export function commitRefusal(
  state: GroupState,
  member: { readonly id: string; readonly generation: number },
  partitions: readonly TopicPartition[],
):
  | { readonly code: 'MEMBER_FENCED' }
  | { readonly code: 'NOT_ASSIGNED'; readonly partition: TopicPartition }
  | undefined {
  const current = state.phase === 'stable' || state.phase === 'preparing'
  if (!current || !state.members.has(member.id) || state.generation !== member.generation)
    return { code: 'MEMBER_FENCED' }
  const owned = new Set((state.assignments.get(member.id) ?? []).map(partitionKey))
  const partition = partitions.find((candidate) => !owned.has(partitionKey(candidate)))
  return partition === undefined ? undefined : { code: 'NOT_ASSIGNED', partition }
}

/** Removes members from their groups, as if their sessions had run out: all, or those of one host or one group. */
export function expireMembers(
  log: {
    groups(): readonly string[]
    group(groupId: string): GroupState
    putGroup(groupId: string, state: GroupState): void
  },
  { host, groupId, keepStatic = false }: ExpiredMembers,
): void {
  for (const id of groupId === undefined ? log.groups() : [groupId]) {
    for (const [memberId, member] of log.group(id).members) {
      if ((host !== undefined && member.host !== host) || (keepStatic && member.instanceId !== undefined)) continue
      log.putGroup(id, stepGroup(log.group(id), { type: 'leave', memberId }).state)
    }
  }
}

/** The members whose sessions run out. */
export interface ExpiredMembers {
  readonly host?: string
  readonly groupId?: string
  readonly keepStatic?: boolean
}

function join(state: GroupState, event: Extract<GroupEvent, { type: 'join' }>): GroupStep {
  const { memberId, protocol, returning } = event
  if (returning && !state.members.has(memberId)) return { state, outcome: 'stale' }
  const others = [...state.members.keys()].filter((id) => id !== memberId)
  if (others.length > 0 && state.protocol !== protocol) return { state, outcome: 'protocol-differs' }
  const member: MemberState = { ...event.member, joined: true }
  const predecessor = findInstance(state, memberId, member.instanceId)
  if (predecessor !== undefined) {
    const replaced = replace(state, predecessor, { id: memberId, member })
    if (state.phase === 'stable') return { state: replaced, outcome: 'restored' }
    return { state: settle(state.phase === 'completing' ? prepare(replaced, memberId) : replaced), outcome: 'done' }
  }
  const members = new Map(state.members).set(memberId, member)
  const joined = { ...state, protocol, members }
  return { state: settle(state.phase === 'preparing' ? joined : prepare(joined, memberId)), outcome: 'done' }
}

function leave(state: GroupState, memberId: string): GroupStep {
  if (!state.members.has(memberId)) return { state, outcome: 'stale' }
  const members = new Map(state.members)
  members.delete(memberId)
  if (members.size === 0) return { state: { ...EMPTY_GROUP, generation: state.generation }, outcome: 'done' }
  const left = { ...state, members }
  return { state: settle(state.phase === 'preparing' ? left : prepare(left, undefined)), outcome: 'done' }
}

function assign(state: GroupState, event: Extract<GroupEvent, { type: 'assign' }>): GroupStep {
  const { memberId, generation, assignments, groupData, ownData = new Map() } = event
  if (state.phase !== 'completing' || state.leader !== memberId || state.generation !== generation)
    return { state, outcome: 'stale' }
  const known = new Map([...state.members.keys()].map((id) => [id, assignments.get(id) ?? []]))
  return { state: { ...state, phase: 'stable', assignments: known, groupData, ownData }, outcome: 'done' }
}

function findInstance(state: GroupState, memberId: string, instanceId: string | undefined): string | undefined {
  if (instanceId === undefined) return undefined
  for (const [id, member] of state.members) if (id !== memberId && member.instanceId === instanceId) return id
  return undefined
}

/** Puts the member in its predecessor's place, with the same age, assignment and leadership. */
function replace(
  state: GroupState,
  predecessor: string,
  successor: { readonly id: string; readonly member: MemberState },
): GroupState {
  const rename = (id: string): string => (id === predecessor ? successor.id : id)
  const members = new Map(
    [...state.members].map(([id, member]) => [rename(id), id === predecessor ? successor.member : member]),
  )
  const assignments = new Map([...state.assignments].map(([id, partitions]) => [rename(id), partitions]))
  const ownData = new Map([...state.ownData].map(([id, data]) => [rename(id), data]))
  return {
    ...state,
    members,
    assignments,
    ownData,
    leader: state.leader === undefined ? undefined : rename(state.leader),
  }
}

/** Begins a round: all members have to join, except the one that just did. */
function prepare(state: GroupState, joinedAlready: string | undefined): GroupState {
  const members = new Map([...state.members].map(([id, member]) => [id, { ...member, joined: id === joinedAlready }]))
  return { ...state, phase: 'preparing', members }
}

/** Ends the round once every member has joined. The oldest member leads. */
function settle(state: GroupState): GroupState {
  if (state.phase !== 'preparing') return state
  for (const member of state.members.values()) if (!member.joined) return state
  const [leader] = state.members.keys()
  return {
    ...state,
    phase: 'completing',
    generation: state.generation + 1,
    leader,
    assignments: new Map(),
    groupData: new Uint8Array(0),
    ownData: new Map(),
  }
}
