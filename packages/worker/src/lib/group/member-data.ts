import { createHash } from 'node:crypto'
import { MOST_SUSPECTS, type Suspect } from '../task/suspects.ts'
import type { TaskTopology } from '../topics/topic-directory.ts'

/** How a member is warmed up before it takes over tasks. */
export interface WarmUpData {
  /** Changelog offsets that it may lack of a task's state when it takes it over. */
  readonly acceptableLag: number
  /** Copies that the group may have under way at a time. */
  readonly most: number
  /** Ids of the tasks whose copies here have caught up with their changelogs, since they are being read. */
  readonly caughtUp: readonly string[]
}

/** What a member sends the group's leader about itself. */
export interface MemberData {
  /** By partition count. */
  readonly groups: ReadonlyMap<number, TaskTopology>
  /** Ids of the tasks it runs. */
  readonly tasks: readonly string[]
  /** Generation in which it was given them; of two that claim a task, the later one has it. */
  readonly generation: number
  /**
   * Tasks whose state it holds, those it runs among them, and how many changelog offsets of each it has absorbed. Earlier
   * versions name only standbys.
   */
  readonly warm: ReadonlyMap<string, number>
  /** `undefined` in an earlier version, which takes tasks without having been warmed up. */
  readonly warmUp?: WarmUpData | undefined
  readonly address: string | undefined
  /** Of a static member: its instance id, which outlives its member id. */
  readonly instanceId?: string | undefined
  /** `GroupData.life` of the group that it was in; `undefined` for a newcomer. */
  readonly life: string | undefined
  /** `GroupData.secret` of the group that it was in; a random one from a newcomer, for a group that has none yet. */
  readonly secret?: string | undefined
  /** Events that may have blocked its event loop, and those that the group has passed on to it. */
  readonly suspects?: readonly Suspect[]
  /** It stops: it keeps `tasks`, whose events it waits for, and is given nothing else. An earlier version gives it some. */
  readonly isLeaving?: boolean
}

/** A member of the group, as whoever plans the assignment sees it. */
export interface PlannedMember {
  readonly id: string
  readonly data: MemberData
}

/** Fields may be added: members of other versions pass over those that they do not know. */
const VERSION = 1

/** Limit for names, addresses and ids, which every member of the group receives. */
const LONGEST_TEXT = 512
/** Limit for lists: more tasks or topics than one group can have. */
const LONGEST_LIST = 100_000

export function encodeMemberData(data: MemberData): Uint8Array {
  const { groups, tasks, generation, warm, warmUp, address, instanceId, life, secret } = data
  const { suspects = [], isLeaving } = data
  const json = {
    v: VERSION,
    groups: Object.fromEntries([...groups].map(([partitions, topology]) => [String(partitions), topology])),
    tasks,
    generation,
    warm: Object.fromEntries(warm),
    warmUp,
    address,
    instanceId,
    life,
    secret,
    ...(suspects.length === 0 ? {} : { suspects }),
    isLeaving,
  }
  return Buffer.from(JSON.stringify(json))
}

/**
 * `undefined` for data of another format, or with a field that cannot be right: such a member can be given nothing. Any
 * client that knows the group's name can send anything here, so that nothing is believed unseen.
 */
export function decodeMemberData(bytes: Uint8Array): MemberData | undefined {
  const json = readJson(bytes)
  if (json?.['v'] !== VERSION) return undefined
  const groups = readMap(json['groups'], readCount, readTopology)
  const tasks = readList(json['tasks'])
  const generation = readInteger(json['generation'])
  const warm = readMap(json['warm'], readText, readInteger)
  const warmUp = readOptional(json['warmUp'], readWarmUp)
  const address = readOptional(json['address'], readText)
  const instanceId = readOptional(json['instanceId'], readText)
  const life = readOptional(json['life'], readText)
  const secret = readOptional(json['secret'], readSecret)
  const suspects = readOptional(json['suspects'], readSuspects)
  if (groups === undefined || tasks === undefined || generation === undefined || warm === undefined) return undefined
  if (warmUp === INVALID || address === INVALID || instanceId === INVALID || life === INVALID) return undefined
  if (secret === INVALID || suspects === INVALID) return undefined
  return {
    groups,
    tasks,
    generation,
    warm,
    ...(warmUp === undefined ? {} : { warmUp }),
    address,
    ...(instanceId === undefined ? {} : { instanceId }),
    life,
    ...(secret === undefined ? {} : { secret }),
    ...(suspects === undefined ? {} : { suspects }),
    ...(json['isLeaving'] === true ? { isLeaving: true } : {}),
  }
}

function readTopology(value: unknown): TaskTopology | undefined {
  if (!isObject(value)) return undefined
  const topics = readList(value['topics'])
  const parts = readList(value['parts'])
  const standbys = readOptional(value['standbys'], readInteger)
  if (topics === undefined || parts === undefined || standbys === INVALID) return undefined
  // A topic named twice would count twice, and be assigned twice.
  if (new Set(topics).size < topics.length) return undefined
  return { topics, parts, ...(standbys === undefined ? {} : { standbys }) }
}

function readWarmUp(value: unknown): WarmUpData | undefined {
  if (!isObject(value)) return undefined
  const acceptableLag = readInteger(value['acceptableLag'])
  const most = readInteger(value['most'])
  const caughtUp = readList(value['caughtUp'])
  if (acceptableLag === undefined || most === undefined || caughtUp === undefined) return undefined
  return { acceptableLag, most, caughtUp }
}

export function readSuspects(value: unknown): readonly Suspect[] | undefined {
  if (!Array.isArray(value) || value.length > MOST_SUSPECTS) return undefined
  const suspects = value.flatMap((one: unknown) => readSuspect(one) ?? [])
  return suspects.length === value.length ? suspects : undefined
}

function readSuspect(value: unknown): Suspect | undefined {
  if (!isObject(value)) return undefined
  const [subscription, topic] = [readText(value['subscription']), readText(value['topic'])]
  const [partition, offset] = [readInteger(value['partition']), readInteger(value['offset'])]
  const [rounds, blockedMs] = [readInteger(value['rounds']), readInteger(value['blockedMs'])]
  if (subscription === undefined || topic === undefined || partition === undefined) return undefined
  if (offset === undefined || rounds === undefined || blockedMs === undefined) return undefined
  return { subscription, topic, partition, offset, rounds, blockedMs, isSure: value['isSure'] === true }
}

/** A field that is there and cannot be read. */
const INVALID = Symbol('invalid')

function readOptional<T>(value: unknown, read: (value: unknown) => T | undefined): T | undefined | typeof INVALID {
  if (value === undefined || value === null) return undefined
  return read(value) ?? INVALID
}

/** An object; `undefined` for anything else. */
export function readJson(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString())
    return isObject(value) ? value : undefined
  } catch {
    // Not JSON: of another format.
    return undefined
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function readText(value: unknown): string | undefined {
  return typeof value === 'string' && value.length <= LONGEST_TEXT ? value : undefined
}

/** As `newSecret` makes them. */
export function readSecret(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w-]{22}$/.test(value) ? value : undefined
}

export function readInteger(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

export function readList(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > LONGEST_LIST) return undefined
  const texts = value.flatMap((one: unknown) => readText(one) ?? [])
  return texts.length === value.length ? texts : undefined
}

function readCount(text: string): number | undefined {
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : undefined
}

export function readMap<K, V>(
  value: unknown,
  readKey: (key: string) => K | undefined,
  readValue: (value: unknown) => V | undefined,
): ReadonlyMap<K, V> | undefined {
  if (!isObject(value)) return undefined
  const map = new Map<K, V>()
  for (const [name, one] of Object.entries(value)) {
    const key = readKey(name)
    const read = readValue(one)
    if (key === undefined || read === undefined || map.size >= LONGEST_LIST) return undefined
    map.set(key, read)
  }
  return map
}

/** Stands for the topology of a member. */
export function topologyStamp(groups: MemberData['groups']): string {
  const topology = [...groups]
    .toSorted(([a], [b]) => a - b)
    .map(([partitions, { topics, parts, standbys }]) => [
      partitions,
      topics.toSorted(),
      parts.toSorted(),
      standbys ?? 0,
    ])
  return createHash('sha256').update(JSON.stringify(topology)).digest('base64url').slice(0, 8)
}
