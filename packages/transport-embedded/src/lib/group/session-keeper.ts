import { type Scheduled, toError } from '@millrace/core'
import type { ConsumerOptions } from '@millrace/core/driver'
import type { LogClientContext } from '../log/client-context.ts'
import { stepGroup, type GroupState } from '../log/group-state.ts'
import type { Membership } from './membership.ts'

/** How often dead processes are looked for, even if heartbeats are rarer. */
const WATCH_INTERVAL_MS = 200

/**
 * Writes a member's heartbeats and removes absent members. Silence is measured by watching, never by comparing clocks,
 * and one observation counts for two intervals at most, so that a process that was suspended does not take the others
 * for dead.
 */
export class SessionKeeper {
  readonly #member: Membership
  readonly #groupId: string
  readonly #intervalMs: number
  readonly #context: LogClientContext
  readonly #isHostDead: (host: string) => boolean
  #silences: ReadonlyMap<string, Silence> = new Map()
  #timer: Scheduled | undefined
  #watchedAtMs = 0
  #beatMs = -Infinity
  #beats = 0
  #stopped = false

  constructor(
    member: Membership,
    { groupId, heartbeatIntervalMs }: ConsumerOptions,
    context: LogClientContext & { readonly isHostDead: (host: string) => boolean },
  ) {
    this.#member = member
    this.#groupId = groupId
    this.#intervalMs = heartbeatIntervalMs
    this.#context = context
    this.#isHostDead = context.isHostDead
  }

  get #isOver(): boolean {
    return this.#stopped || this.#member.stopped
  }

  start(): void {
    this.#watchedAtMs = this.#context.clock.monotonic()
    this.#arm()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #arm(): void {
    const delayMs = Math.min(this.#intervalMs, WATCH_INTERVAL_MS)
    this.#timer = this.#context.clock.schedule(delayMs, () => void this.#tick(delayMs))
  }

  async #tick(delayMs: number): Promise<void> {
    if (this.#isOver) return
    const { clock, log } = this.#context
    const groupId = this.#groupId
    const nowMs = clock.monotonic()
    try {
      if (nowMs - this.#beatMs >= this.#intervalMs) await this.#beat(nowMs)
      const watchedMs = Math.min(nowMs - this.#watchedAtMs, 2 * delayMs)
      this.#watchedAtMs = nowMs
      if (!this.#isOver) await this.#watch(watchedMs)
    } catch (error) {
      if (!this.#isOver) log.warn({ groupId, err: toError(error) }, 'A heartbeat failed; the next one is on its way.')
    }
    if (!this.#isOver) this.#arm()
  }

  async #beat(sentMs: number): Promise<void> {
    const { backend } = this.#context
    const groupId = this.#groupId
    const { memberId } = this.#member
    const beats = ++this.#beats
    const isMember = await backend.write('quiet', (log) => {
      if (!log.group(groupId).members.has(memberId)) return false
      log.putBeats(groupId, memberId, beats)
      return true
    })
    this.#beatMs = sentMs
    if (isMember) this.#member.heard(sentMs)
    else this.#member.checkGroup()
  }

  async #watch(watchedMs: number): Promise<void> {
    const { backend, log: logger } = this.#context
    const groupId = this.#groupId
    const absent = backend.read((log): ReadonlyMap<string, Absence> => {
      const group = log.group(groupId)
      // A member that is not in the group has no say in it.
      if (!group.members.has(this.#member.memberId)) return new Map()
      this.#silences = watchSilence(this.#silences, { group, beats: (id) => log.beats(groupId, id), watchedMs })
      return findAbsent(group, this.#silences, this.#isHostDead)
    })
    if (absent.size === 0) return
    await backend.write('groups', (log) => {
      let group = log.group(groupId)
      for (const [memberId, why] of absent) {
        const heard = why === 'silent' && log.beats(groupId, memberId) !== this.#silences.get(memberId)?.beats
        const joined = why === 'awaited' && group.members.get(memberId)?.joined === true
        if (!heard && !joined) group = stepGroup(group, { type: 'leave', memberId }).state
      }
      log.putGroup(groupId, group)
    })
    for (const [memberId, why] of absent)
      logger.warn({ groupId, memberId, why }, 'A member was thrown out of its group.')
  }
}

/** What one watcher knows of a member's silence, in milliseconds of its own watching. */
export interface Silence {
  readonly beats: number
  /** Since the last sign of life from the member. */
  readonly silentMs: number
  /** Since a rebalance began to wait for the member to join. */
  readonly awaitedMs: number
}

export interface Observation {
  readonly group: GroupState
  readonly beats: (memberId: string) => number
  /** Milliseconds watched since the previous observation. */
  readonly watchedMs: number
}

/** Silences after one more observation. Members that have left are dropped. */
export function watchSilence(
  before: ReadonlyMap<string, Silence>,
  observation: Observation,
): ReadonlyMap<string, Silence> {
  const after = new Map<string, Silence>()
  for (const [id, { joined }] of observation.group.members) {
    const known = before.get(id)
    const beats = observation.beats(id)
    const awaited = observation.group.phase === 'preparing' && !joined
    after.set(id, {
      beats,
      silentMs: known === undefined || known.beats !== beats ? 0 : known.silentMs + observation.watchedMs,
      awaitedMs: known === undefined || !awaited ? 0 : known.awaitedMs + observation.watchedMs,
    })
  }
  return after
}

export type Absence = 'dead' | 'silent' | 'awaited'

/**
 * The members that must leave the group, with the reason: a dynamic one whose host is dead, one that was silent for
 * longer than its session, or awaited for longer than its rebalance time-out.
 */
export function findAbsent(
  group: GroupState,
  silences: ReadonlyMap<string, Silence>,
  isHostDead: (host: string) => boolean,
): ReadonlyMap<string, Absence> {
  const absent = new Map<string, Absence>()
  for (const [id, member] of group.members) {
    const silence = silences.get(id)
    if (silence !== undefined && silence.silentMs >= member.sessionTimeoutMs) absent.set(id, 'silent')
    else if (silence !== undefined && silence.awaitedMs >= member.rebalanceTimeoutMs) absent.set(id, 'awaited')
    else if (member.instanceId === undefined && isHostDead(member.host)) absent.set(id, 'dead')
  }
  return absent
}
