import type { TaskOwner } from '../worker/worker.ts'

/** What the leader tells every member with its assignment. */
export interface GroupData {
  /** By task id. */
  readonly owners: ReadonlyMap<string, TaskOwner>
  /** Web address of every member by its name in the group, also of those that run no task. */
  readonly members: ReadonlyMap<string, string | undefined>
  /** By task id: the members that keep a warm copy, the one to keep it first if not all do. */
  readonly standbys: ReadonlyMap<string, readonly string[]>
  /** By task id: the member that warms up for the task and is to have it then. */
  readonly warmUps: ReadonlyMap<string, string>
  /** Ids of tasks that nobody can take. */
  readonly unassigned: readonly string[]
  /** `memberStamp` of each static member, by instance id, as the assignment was made for it. */
  readonly stamps: ReadonlyMap<string, string>
  /** The same as long as the group was never without a member; `undefined` when it is not known. */
  readonly life: string | undefined
}

export const NO_GROUP_DATA: GroupData = {
  owners: new Map(),
  members: new Map(),
  standbys: new Map(),
  warmUps: new Map(),
  unassigned: [],
  stamps: new Map(),
  life: undefined,
}

const VERSION = 1

/** Members are listed once; each has its tasks. */
interface GroupJson {
  readonly v: number
  readonly members: readonly { readonly id: string; readonly address?: string; readonly tasks: readonly string[] }[]
  readonly standbys?: Readonly<Record<string, readonly string[]>>
  readonly warmUps?: Readonly<Record<string, string>>
  readonly unassigned: readonly string[]
  readonly stamps?: Readonly<Record<string, string>>
  readonly life?: string
}

export function encodeGroupData(data: GroupData): Uint8Array {
  const tasks = new Map<string, { readonly address: string | undefined; readonly tasks: string[] }>()
  for (const [id, address] of data.members) tasks.set(id, { address, tasks: [] })
  for (const [task, { member, address }] of data.owners) {
    const entry = tasks.get(member)
    if (entry === undefined) tasks.set(member, { address, tasks: [task] })
    else entry.tasks.push(task)
  }
  const json: GroupJson = {
    v: VERSION,
    members: [...tasks].map(([id, entry]) => ({
      id,
      ...(entry.address === undefined ? {} : { address: entry.address }),
      tasks: entry.tasks,
    })),
    ...(data.standbys.size === 0 ? {} : { standbys: Object.fromEntries(data.standbys) }),
    ...(data.warmUps.size === 0 ? {} : { warmUps: Object.fromEntries(data.warmUps) }),
    unassigned: data.unassigned,
    ...(data.stamps.size === 0 ? {} : { stamps: Object.fromEntries(data.stamps) }),
    ...(data.life === undefined ? {} : { life: data.life }),
  }
  return Buffer.from(JSON.stringify(json))
}

/** Data of another format (a leader of a later version) tells nothing about others' tasks. */
export function decodeGroupData(bytes: Uint8Array): GroupData {
  let json: GroupJson
  try {
    json = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return NO_GROUP_DATA
  }
  if (json.v !== VERSION) return NO_GROUP_DATA
  const owners = new Map<string, TaskOwner>()
  for (const member of json.members)
    for (const task of member.tasks) owners.set(task, { member: member.id, address: member.address })
  return {
    owners,
    members: new Map(json.members.map(({ id, address }) => [id, address])),
    standbys: new Map(Object.entries(json.standbys ?? {})),
    warmUps: new Map(Object.entries(json.warmUps ?? {})),
    unassigned: json.unassigned,
    stamps: new Map(Object.entries(json.stamps ?? {})),
    life: json.life,
  }
}
