import type { GroupState } from './group-state.ts'

/** What one watcher knows of a member's silence, in milliseconds of its own watching. */
export interface Silence {
  readonly beats: number
  /** Since the member was last heard of. */
  readonly silentMs: number
  /** Since a rebalance has been waiting for it to join. */
  readonly awaitedMs: number
}

export interface Look {
  readonly group: GroupState
  readonly beats: (memberId: string) => number
  /** Milliseconds watched since the look before. */
  readonly watchedMs: number
}

/** Silences after one more look. Members that are gone are forgotten. */
export function watchSilence(before: ReadonlyMap<string, Silence>, look: Look): ReadonlyMap<string, Silence> {
  const after = new Map<string, Silence>()
  for (const [id, { joined }] of look.group.members) {
    const known = before.get(id)
    const beats = look.beats(id)
    const awaited = look.group.phase === 'preparing' && !joined
    after.set(id, {
      beats,
      silentMs: known === undefined || known.beats !== beats ? 0 : known.silentMs + look.watchedMs,
      awaitedMs: known === undefined || !awaited ? 0 : known.awaitedMs + look.watchedMs,
    })
  }
  return after
}

export type Absence = 'dead' | 'silent' | 'awaited'

/**
 * Who has to leave the group, and why: a dynamic member whose host is dead, anybody silent for longer than its session,
 * or awaited for longer than its rebalance time-out.
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
