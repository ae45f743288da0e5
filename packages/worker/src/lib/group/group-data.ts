import { createHash } from 'node:crypto'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import {
  asFields,
  asInteger,
  asList,
  asMap,
  asSecret,
  asText,
  asTexts,
  mustBe,
  optional,
  readFields,
} from '@millrace/core'
import type { TaskOwner } from '../contracts/group.ts'
import { taskId } from '../environment/task-id.ts'

/** Data that the leader sends to every member with its assignment. */
export interface GroupData {
  /** Owners by task id. */
  readonly owners: ReadonlyMap<string, TaskOwner>
  /** The web address of every member, by its name in the group; includes members that run no task. */
  readonly members: ReadonlyMap<string, string | undefined>
  /** By task id: the member that warms up for the task, and gets it afterwards. */
  readonly warmUps: ReadonlyMap<string, string>
  /** Ids of tasks with a topic or table that no member runs. */
  readonly unassigned: readonly string[]
  /** `topologyStamp` of each static member, by its name, for which the assignment was made. */
  readonly stamps: ReadonlyMap<string, string>
  /** Constant as long as the group is never without a member; `undefined` if unknown. */
  readonly life: string | undefined
  /**
   * The secret with which members sign requests to one another, constant for the life of the group; `undefined` if the
   * leader sends none.
   */
  readonly secret: string | undefined
}

export const NO_GROUP_DATA: GroupData = {
  owners: new Map(),
  members: new Map(),
  warmUps: new Map(),
  unassigned: [],
  stamps: new Map(),
  life: undefined,
  secret: undefined,
}

/**
 * Every member has these bytes in its assignment, and the assignments of all members are one record of the broker (1 MB
 * by default), so each byte counts once per member. Therefore members are numbers, tasks are positions in a list, and
 * everything is compressed. Format 1 was JSON, which begins with another byte.
 */
const VERSION = 2
/** More than a group can have, because its assignments are one record of the broker. */
const MOST_TASKS = 1_000_000
/** No version makes more. Without a limit, a few bytes of anybody who leads the group could unpack to any size. */
const MOST_BYTES = 8 * 1024 * 1024
const NOBODY = 0xffff
/**
 * Below this size every group has room, so a rebalance need not wait for the best compression: 0.02 ms instead of 0.5
 * or more.
 */
const SHORT_BYTES = 8_192
const QUICKLY = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }

export function encodeGroupData(data: GroupData): Uint8Array {
  const names = [...data.members.keys()]
  const indexes = new Map(names.map((name, index) => [name, index]))
  const counts = [...new Set([...data.owners.keys(), ...data.unassigned].map((id) => Number.parseInt(id, 10)))]
  const head = Buffer.from(
    JSON.stringify({
      names,
      addresses: names.map((name) => data.members.get(name) ?? ''),
      stamps: names.map((name) => data.stamps.get(name) ?? ''),
      warmUps: Object.fromEntries([...data.warmUps].map(([task, to]) => [task, indexes.get(to) ?? NOBODY])),
      counts,
      life: data.life,
      secret: data.secret,
    }),
  )
  const tasks = counts.reduce((sum, partitions) => sum + partitions, 0)
  const bytes = Buffer.alloc(4 + head.length + 3 * tasks)
  bytes.writeUInt32BE(head.length)
  head.copy(bytes, 4)
  const unassigned = new Set(data.unassigned)
  // Low bytes come first, then high bytes, then flags: the equal values of most tasks become adjacent and compress to
  // almost nothing.
  let at = 4 + head.length
  for (const partitions of counts)
    for (let partition = 0; partition < partitions; partition++, at++) {
      const id = taskId(partitions, partition)
      const index = indexes.get(data.owners.get(id)?.member ?? '') ?? NOBODY
      bytes[at] = index & 0xff
      bytes[at + tasks] = index >> 8
      bytes[at + 2 * tasks] = unassigned.has(id) ? 1 : 0
    }
  return Buffer.concat([Buffer.from([VERSION]), brotliCompressSync(bytes, bytes.length <= SHORT_BYTES ? QUICKLY : {})])
}

const UUID = /[\da-f]{8}-(?:[\da-f]{4}-){3}([\da-f]{12})$/
const LONGEST_NAME = 24

/**
 * The name of a member in its group: its instance id, or otherwise its member id. Long ids (a client's name and 36
 * characters of a UUID) are shortened, because every member gets the names of all.
 */
export function memberName(id: string): string {
  if (id.length <= LONGEST_NAME) return id
  const random = UUID.exec(id)?.[1]
  return `~${random ?? createHash('sha256').update(id).digest('hex').slice(0, 12)}`
}

/**
 * The format number, if a leader of a later version has made the data and it cannot be read here; otherwise
 * `undefined`.
 */
export function newerGroupFormat(bytes: Uint8Array): number | undefined {
  const [format = 0] = bytes
  // The first format was JSON.
  return format > VERSION && format !== 0x7b ? format : undefined
}

/** Data of an unknown format (a leader of a later version) decodes as no data. */
export function decodeGroupData(bytes: Uint8Array): GroupData {
  const read = bytes[0] === VERSION ? readPacked(bytes.subarray(1)) : readFirstFormat(bytes)
  return read ?? NO_GROUP_DATA
}

function readPacked(compressed: Uint8Array): GroupData | undefined {
  let bytes: Buffer
  try {
    bytes = brotliDecompressSync(compressed, { maxOutputLength: MOST_BYTES })
  } catch {
    // No version writes this.
    return undefined
  }
  if (bytes.length < 4) return undefined
  const begin = 4 + bytes.readUInt32BE()
  return readFields(bytes.subarray(4, begin), undefined, (head) => {
    const [names, addresses, stamps] = [asTexts(head['names']), asTexts(head['addresses']), asTexts(head['stamps'])]
    const counts = asList(head['counts'], asInteger)
    const tasks = counts.reduce((sum, partitions) => sum + partitions, 0)
    mustBe(tasks <= MOST_TASKS && bytes.length === begin + 3 * tasks, bytes)
    const addressOf = (index: number): string | undefined => addresses[index] || undefined
    const owners = new Map<string, TaskOwner>()
    const unassigned: string[] = []
    let at = begin
    for (const partitions of counts)
      for (let partition = 0; partition < partitions; partition++, at++) {
        const id = taskId(partitions, partition)
        const index = (bytes[at] ?? 0) | ((bytes[at + tasks] ?? 0) << 8)
        const member = names[index]
        if (member !== undefined) owners.set(id, { member, address: addressOf(index) })
        if (bytes[at + 2 * tasks] === 1) unassigned.push(id)
      }
    const warmUps = [...asMap(head['warmUps'], asText, asInteger)].flatMap(([task, index]) => {
      const to = names[index]
      return to === undefined ? [] : [[task, to] as const]
    })
    return {
      owners,
      members: new Map(names.map((name, index) => [name, addressOf(index)])),
      warmUps: new Map(warmUps),
      unassigned,
      stamps: new Map(names.flatMap((name, index) => (stamps[index] ? [[name, stamps[index]] as const] : []))),
      life: optional(head['life'], asText),
      secret: optional(head['secret'], asSecret),
    }
  })
}

/**
 * Reads what a leader of an older version sends: who runs which task. Copies and stamps are only for its own version.
 */
function readFirstFormat(bytes: Uint8Array): GroupData | undefined {
  return readFields(bytes, 1, (json) => {
    const owners = new Map<string, TaskOwner>()
    const members = new Map<string, string | undefined>()
    for (const one of asList(json['members'], asFields)) {
      const member = memberName(asText(one['id']))
      const address = optional(one['address'], asText)
      members.set(member, address)
      for (const task of asTexts(one['tasks'])) owners.set(task, { member, address })
    }
    const unassigned = optional(json['unassigned'], asTexts) ?? []
    return { ...NO_GROUP_DATA, owners, members, unassigned, life: optional(json['life'], asText) }
  })
}
