/** What belongs together in the tasks of one partition count, as one member knows it. */
export interface TaskTopology {
  readonly topics: readonly string[]
  /** Names of tables and stateful operators. */
  readonly parts: readonly string[]
  /** Warm copies wanted of each task, the most that any of its parts wants. */
  readonly standbys?: number
}

/** How a member is warmed up before it takes over tasks. */
export interface WarmUpData {
  /** Changelog offsets that it may lack of a task's state when it takes it over. */
  readonly acceptableLag: number
  /** Copies that the group may have under way at a time. */
  readonly most: number
  /** Ids of the tasks whose copies here have caught up with their changelogs, since they are being read. */
  readonly caughtUp: readonly string[]
}

/** What a member tells the group's leader about itself. */
export interface MemberData {
  /** By partition count. */
  readonly groups: ReadonlyMap<number, TaskTopology>
  /** Ids of the tasks it runs. */
  readonly tasks: readonly string[]
  /** Generation in which it was given them; of two that claim a task, the later one has it. */
  readonly generation: number
  /**
   * Tasks whose state it holds, those it runs among them, and how many changelog offsets of each it has absorbed. Earlier
   * versions tell only of standbys.
   */
  readonly warm: ReadonlyMap<string, number>
  /** `undefined` in an earlier version, which takes tasks without having been warmed up. */
  readonly warmUp?: WarmUpData | undefined
  readonly address: string | undefined
  /** Of a static member: its instance id, which outlives its member id. */
  readonly instanceId?: string | undefined
  /** `GroupData.life` of the group that it was in; `undefined` for a newcomer. */
  readonly life: string | undefined
}

const VERSION = 1

interface MemberJson {
  readonly v: number
  readonly groups: Readonly<Record<string, TaskTopology>>
  readonly tasks: readonly string[]
  readonly generation: number
  readonly warm: Readonly<Record<string, number>>
  readonly warmUp?: WarmUpData
  readonly address?: string
  readonly instanceId?: string
  readonly life?: string
}

export function encodeMemberData(data: MemberData): Uint8Array {
  const json: MemberJson = {
    v: VERSION,
    groups: Object.fromEntries([...data.groups].map(([partitions, topology]) => [String(partitions), topology])),
    tasks: data.tasks,
    generation: data.generation,
    warm: Object.fromEntries(data.warm),
    ...(data.warmUp === undefined ? {} : { warmUp: data.warmUp }),
    ...(data.address === undefined ? {} : { address: data.address }),
    ...(data.instanceId === undefined ? {} : { instanceId: data.instanceId }),
    ...(data.life === undefined ? {} : { life: data.life }),
  }
  return Buffer.from(JSON.stringify(json))
}

/** `undefined` for data of another format: such a member can be given nothing. */
export function decodeMemberData(bytes: Uint8Array): MemberData | undefined {
  let json: MemberJson
  try {
    json = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
  if (json.v !== VERSION) return undefined
  return {
    groups: new Map(Object.entries(json.groups).map(([partitions, topology]) => [Number(partitions), topology])),
    tasks: json.tasks,
    generation: json.generation,
    warm: new Map(Object.entries(json.warm)),
    ...(json.warmUp === undefined ? {} : { warmUp: json.warmUp }),
    address: json.address,
    ...(json.instanceId === undefined ? {} : { instanceId: json.instanceId }),
    life: json.life,
  }
}
