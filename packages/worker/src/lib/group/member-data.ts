import { createHash } from 'node:crypto'
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
import { MOST_BLOCKING_EVENTS, type BlockingEvent } from '../task/blocking-events.ts'
import type { TaskTopology } from '../topics/topic-directory.ts'

/** How a member is warmed up before it takes over tasks. */
export interface WarmUpData {
  /** How many changelog offsets of a task's state it may lack when it takes over the task. */
  readonly acceptableLag: number
  /** How many copies the group may have under way at a time. */
  readonly most: number
  /** Ids of the tasks whose copies here have been at the end of their changelogs at least once. */
  readonly caughtUp: readonly string[]
}

/** What a member sends the group's leader about itself. */
export interface MemberData {
  /** By partition count. */
  readonly groups: ReadonlyMap<number, TaskTopology>
  /** Ids of the tasks it runs. */
  readonly tasks: readonly string[]
  /** The generation in which it was given them. If two members claim a task, the later generation wins. */
  readonly generation: number
  /**
   * The tasks whose state it holds, including those it runs, and how many changelog offsets of each it has read.
   * Earlier versions list only standbys.
   */
  readonly warm: ReadonlyMap<string, number>
  /** `undefined` from an earlier version, which takes tasks without a warm-up. */
  readonly warmUp?: WarmUpData | undefined
  readonly address: string | undefined
  /** What it may be lost together with: its machine, unless the setting `rack` says more. Earlier versions do not say it. */
  readonly rack?: string | undefined
  /** The instance id of a static member, which outlives its member id. */
  readonly instanceId?: string | undefined
  /** `GroupData.life` of its last group; `undefined` for a newcomer. */
  readonly life: string | undefined
  /** `GroupData.secret` of its last group; a newcomer sends a random one, for a group that has none yet. */
  readonly secret?: string | undefined
  /** Events that may have blocked its event loop, and those that the group has passed on to it. */
  readonly blockingEvents?: readonly BlockingEvent[] | undefined
  /**
   * The member is stopping: it keeps `tasks`, for whose events it waits, and gets no others. A leader of an earlier
   * version may still give it some.
   */
  readonly isLeaving?: boolean | undefined
}

/** A member of the group, as the planner of an assignment sees it. */
export interface PlannedMember {
  readonly id: string
  readonly data: MemberData
}

/** Fields may be added, because members of other versions ignore unknown ones. */
const VERSION = 1

export function encodeMemberData(data: MemberData): Uint8Array {
  const { groups, tasks, generation, warm, warmUp, address, instanceId, life, secret } = data
  const { rack, blockingEvents = [], isLeaving } = data
  const json = {
    v: VERSION,
    groups: Object.fromEntries(groups),
    tasks,
    generation,
    warm: Object.fromEntries(warm),
    warmUp,
    address,
    rack,
    instanceId,
    life,
    secret,
    // Other versions know this field by its old name.
    ...(blockingEvents.length === 0 ? {} : { suspects: blockingEvents }),
    isLeaving,
  }
  return Buffer.from(JSON.stringify(json))
}

/** `undefined` for data of another format, or with an impossible field: such a member gets nothing. */
export function decodeMemberData(bytes: Uint8Array): MemberData | undefined {
  return readFields(bytes, VERSION, (fields) => ({
    groups: asMap(fields['groups'], asCount, asTopology),
    tasks: asTexts(fields['tasks']),
    generation: asInteger(fields['generation']),
    warm: asMap(fields['warm'], asText, asInteger),
    warmUp: optional(fields['warmUp'], asWarmUp),
    address: optional(fields['address'], asText),
    rack: optional(fields['rack'], asText),
    instanceId: optional(fields['instanceId'], asText),
    life: optional(fields['life'], asText),
    secret: optional(fields['secret'], asSecret),
    blockingEvents: optional(fields['suspects'], asBlockingEvents),
    isLeaving: fields['isLeaving'] === true ? true : undefined,
  }))
}

function asCount(text: string): number {
  return mustBe(/^[1-9]\d{0,5}$/.test(text), Number(text))
}

function asTopology(value: unknown): TaskTopology {
  const fields = asFields(value)
  const topics = asTexts(fields['topics'])
  return {
    // A topic named twice would be counted and assigned twice.
    topics: mustBe(new Set(topics).size === topics.length, topics),
    parts: asTexts(fields['parts']),
    standbys: optional(fields['standbys'], asInteger),
  }
}

function asWarmUp(value: unknown): WarmUpData {
  const { acceptableLag, most, caughtUp } = asFields(value)
  return { acceptableLag: asInteger(acceptableLag), most: asInteger(most), caughtUp: asTexts(caughtUp) }
}

export function asBlockingEvents(value: unknown): readonly BlockingEvent[] {
  return asList(value, asBlockingEvent, MOST_BLOCKING_EVENTS)
}

function asBlockingEvent(value: unknown): BlockingEvent {
  const fields = asFields(value)
  return {
    subscription: asText(fields['subscription']),
    topic: asText(fields['topic']),
    partition: asInteger(fields['partition']),
    offset: asInteger(fields['offset']),
    rounds: asInteger(fields['rounds']),
    blockedMs: asInteger(fields['blockedMs']),
    isSure: fields['isSure'] === true,
  }
}

/** A digest of the topology of a member. */
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
