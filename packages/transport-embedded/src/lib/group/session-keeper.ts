import { toError, type Clock, type Logger, type Scheduled } from '@millrace/core'
import type { LogBackend } from '../log/log-backend.ts'
import { stepGroup } from './group-state.ts'
import { findAbsent, watchSilence, type Absence, type Silence } from './silence.ts'

/** Dead processes are looked for this often, also when heartbeats are rarer. */
const WATCH_INTERVAL_MS = 200

export interface SessionKeeperDeps {
  readonly groupId: string
  readonly intervalMs: number
  readonly backend: LogBackend
  readonly clock: Clock
  readonly log: Logger
  readonly isHostDead: (host: string) => boolean
}

/** The member whose heartbeats these are. */
interface SessionMember {
  readonly memberId: string
  heard(sentMs: number): void
  look(): void
}

/**
 * Writes a member's heartbeats and throws absent members out. Silence is measured by watching, never by comparing
 * clocks, and one look counts for two intervals at most: a process that slept does not take the others for dead.
 */
export class SessionKeeper {
  readonly #member: SessionMember
  readonly #deps: SessionKeeperDeps
  #silences: ReadonlyMap<string, Silence> = new Map()
  #timer: Scheduled | undefined
  #lookedMs = 0
  #beatMs = -Infinity
  #beats = 0
  #stopped = false

  constructor(member: SessionMember, deps: SessionKeeperDeps) {
    this.#member = member
    this.#deps = deps
  }

  start(): void {
    this.#lookedMs = this.#deps.clock.monotonic()
    this.#arm()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #arm(): void {
    const delayMs = Math.min(this.#deps.intervalMs, WATCH_INTERVAL_MS)
    this.#timer = this.#deps.clock.schedule(delayMs, () => void this.#tick(delayMs))
  }

  async #tick(delayMs: number): Promise<void> {
    const { clock, intervalMs, log, groupId } = this.#deps
    const nowMs = clock.monotonic()
    try {
      if (nowMs - this.#beatMs >= intervalMs) await this.#beat(nowMs)
      const watchedMs = Math.min(nowMs - this.#lookedMs, 2 * delayMs)
      this.#lookedMs = nowMs
      if (!this.#stopped) await this.#watch(watchedMs)
    } catch (error) {
      if (!this.#stopped) log.warn({ groupId, err: toError(error) }, 'A heartbeat failed; the next one is on its way.')
    }
    if (!this.#stopped) this.#arm()
  }

  async #beat(sentMs: number): Promise<void> {
    const { backend, groupId } = this.#deps
    const { memberId } = this.#member
    const beats = ++this.#beats
    const isMember = await backend.write('quiet', (log) => {
      if (!log.group(groupId).members.has(memberId)) return false
      log.putBeats(groupId, memberId, beats)
      return true
    })
    this.#beatMs = sentMs
    if (isMember) this.#member.heard(sentMs)
    else this.#member.look()
  }

  async #watch(watchedMs: number): Promise<void> {
    const { backend, groupId, isHostDead, log: logger } = this.#deps
    const absent = backend.read((log): ReadonlyMap<string, Absence> => {
      const group = log.group(groupId)
      // Who is not in the group has no say in it.
      if (!group.members.has(this.#member.memberId)) return new Map()
      this.#silences = watchSilence(this.#silences, { group, beats: (id) => log.beats(groupId, id), watchedMs })
      return findAbsent(group, this.#silences, isHostDead)
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
