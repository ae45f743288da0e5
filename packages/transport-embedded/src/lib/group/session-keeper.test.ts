import { describe, expect, it } from 'vitest'
import { EMPTY_GROUP, type GroupState, type MemberState } from '../log/group-state.ts'
import { findAbsent, watchSilence, type Silence } from './session-keeper.ts'

const member = (change: Partial<MemberState> = {}): MemberState => ({
  instanceId: undefined,
  topics: [],
  data: new Uint8Array(0),
  joined: true,
  host: 'alive',
  sessionTimeoutMs: 1000,
  rebalanceTimeoutMs: 500,
  ...change,
})

const groupOf = (
  members: Readonly<Record<string, MemberState>>,
  phase: GroupState['phase'] = 'stable',
): GroupState => ({
  ...EMPTY_GROUP,
  phase,
  members: new Map(Object.entries(members)),
})

/** Looks every 100 ms, with the beats that `beats` gives at each observation. */
function watch(
  group: GroupState,
  observations: number,
  beats: (id: string, observation: number) => number,
): ReadonlyMap<string, Silence> {
  let silences: ReadonlyMap<string, Silence> = new Map()
  for (let observation = 0; observation < observations; observation++) {
    silences = watchSilence(silences, { group, beats: (id) => beats(id, observation), watchedMs: 100 })
  }
  return silences
}

const isDead = (host: string): boolean => host === 'dead'

describe('silence', () => {
  it('removes the member that is silent for its session time-out, and no other', () => {
    const group = groupOf({ silent: member(), beating: member(), patient: member({ sessionTimeoutMs: 5000 }) })
    const beats = (id: string, observation: number): number => (id === 'beating' ? Math.floor(observation / 5) : 7)
    expect([...findAbsent(group, watch(group, 10, beats), isDead)]).toEqual([])
    expect([...findAbsent(group, watch(group, 11, beats), isDead)]).toEqual([['silent', 'silent']])
  })

  it('removes a dynamic member of a dead process at once; a static one may return within its session', () => {
    const group = groupOf({ dynamic: member({ host: 'dead' }), static: member({ host: 'dead', instanceId: 'i' }) })
    expect([
      ...findAbsent(
        group,
        watch(group, 1, () => 1),
        isDead,
      ),
    ]).toEqual([['dynamic', 'dead']])
    expect([
      ...findAbsent(
        group,
        watch(group, 11, () => 1),
        isDead,
      ).keys(),
    ]).toEqual(['dynamic', 'static'])
  })

  it('waits for a member to join for its rebalance time-out', () => {
    const group = groupOf({ slow: member({ joined: false }), here: member() }, 'preparing')
    const beats = (_id: string, observation: number): number => observation
    expect([...findAbsent(group, watch(group, 5, beats), isDead)]).toEqual([])
    expect([...findAbsent(group, watch(group, 6, beats), isDead)]).toEqual([['slow', 'awaited']])
  })
})
