import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { partitionKey, type TopicPartition } from '@millrace/core'
import { commitRefusal, EMPTY_GROUP, stepGroup, type GroupEvent, type GroupState } from './group-state.ts'

const PARTITIONS: readonly TopicPartition[] = [0, 1, 2, 3].map((partition) => ({ topic: 't', partition }))

type Act = { readonly who: number; readonly act: 'come' | 'come as static' | 'leave' | 'work' | 'rejoin' }

/** Members that do what membership does, one step at a time, in any order. */
class World {
  group: GroupState = EMPTY_GROUP
  readonly #known = new Map<number, { id: string; generation: number }>()
  readonly history: GroupState[] = []
  #ids = 0

  apply(event: GroupEvent): void {
    this.group = stepGroup(this.group, event).state
    this.history.push(this.group)
  }

  act({ who, act }: Act): void {
    const self = this.#known.get(who)
    switch (act) {
      case 'come':
      case 'come as static': {
        if (self !== undefined && this.group.members.has(self.id)) return
        const id = `m${++this.#ids}`
        this.#known.set(who, { id, generation: -1 })
        this.#join(id, act === 'come' ? undefined : `static ${who % 2}`)
        return
      }
      case 'leave':
        if (self !== undefined) this.apply({ type: 'leave', memberId: self.id })
        this.#known.delete(who)
        return
      case 'rejoin':
        if (self !== undefined && this.group.members.has(self.id))
          this.#join(self.id, this.group.members.get(self.id)?.instanceId)
        return
      case 'work':
        this.work(who)
    }
  }

  /** What a member does when it reads the group. True when it did something. */
  work(who: number): boolean {
    const self = this.#known.get(who)
    const member = self === undefined ? undefined : this.group.members.get(self.id)
    if (self === undefined || member === undefined) return false
    const { phase, leader, generation } = this.group
    if (phase === 'preparing' && !member.joined) {
      this.#join(self.id, member.instanceId)
      return true
    }
    if (phase === 'completing' && leader === self.id) {
      const ids = [...this.group.members.keys()]
      const assignments = new Map(
        ids.map((id, index) => [id, PARTITIONS.filter((_, nth) => nth % ids.length === index)]),
      )
      this.apply({
        type: 'assign',
        memberId: self.id,
        generation,
        assignments,
        groupData: Buffer.from(`${ids.length}`),
      })
      return true
    }
    if (phase === 'stable') self.generation = generation
    return false
  }

  settle(): void {
    for (let turns = 0; turns < 100; turns++) {
      const busy = [...this.#known.keys()].map((who) => this.work(who))
      if (!busy.includes(true)) return
    }
    throw new Error('The group does not come to rest.')
  }

  commits(): readonly (readonly [string, TopicPartition])[] {
    return [...this.#known.values()].flatMap(({ id, generation }) =>
      PARTITIONS.filter((partition) => commitRefusal(this.group, { id, generation }, [partition]) === undefined).map(
        (partition) => [id, partition] as const,
      ),
    )
  }

  #join(memberId: string, instanceId: string | undefined): void {
    const member = {
      instanceId,
      topics: ['t'],
      data: new Uint8Array(0),
      host: 'h',
      sessionTimeoutMs: 1,
      rebalanceTimeoutMs: 1,
    }
    this.apply({ type: 'join', memberId, protocol: 'p', member, returning: false })
  }
}

const acts = fc.array(
  fc.record<Act>({
    who: fc.nat({ max: 4 }),
    act: fc.constantFrom('come', 'come as static', 'leave', 'work', 'work', 'work', 'rejoin'),
  }),
  { maxLength: 60 },
)

describe('group state', () => {
  it('at any time at most one member may commit a partition, and generations only grow', () => {
    fc.assert(
      fc.property(acts, (sequence) => {
        const world = new World()
        for (const act of sequence) {
          const before = world.group.generation
          world.act(act)
          expect(world.group.generation).toBeGreaterThanOrEqual(before)
          const owners = world.commits().map(([, partition]) => partitionKey(partition))
          expect(new Set(owners).size).toBe(owners.length)
        }
      }),
    )
  })

  it('a group whose members do their work becomes stable, with every partition given out', () => {
    fc.assert(
      fc.property(acts, (sequence) => {
        const world = new World()
        for (const act of sequence) world.act(act)
        world.settle()
        const { phase, members, assignments, leader } = world.group
        expect(phase).toBe(members.size === 0 ? 'empty' : 'stable')
        if (members.size === 0) return
        expect([...assignments.keys()].sort()).toEqual([...members.keys()].sort())
        expect([...assignments.values()].flat().map(partitionKey).sort()).toEqual(PARTITIONS.map(partitionKey))
        expect(leader !== undefined && members.has(leader)).toBe(true)
      }),
    )
  })

  it('a generation begins only when all of its members have joined, and commits work until then', () => {
    fc.assert(
      fc.property(acts, (sequence) => {
        const world = new World()
        for (const act of sequence) world.act(act)
        let before = EMPTY_GROUP
        for (const group of world.history) {
          if (group.generation > before.generation)
            expect([...group.members.values()].every(({ joined }) => joined)).toBe(true)
          if (before.phase === 'stable' && group.phase === 'preparing') {
            for (const id of group.members.keys()) expect(group.assignments.get(id)).toEqual(before.assignments.get(id))
          }
          before = group
        }
      }),
    )
  })

  it('a static member that returns takes the place of its predecessor', () => {
    const world = new World()
    world.act({ who: 0, act: 'come as static' })
    world.act({ who: 1, act: 'come' })
    world.settle()
    const { generation, assignments } = world.group
    const ownData = Buffer.from('for m1')
    world.group = { ...world.group, ownData: new Map([['m1', ownData]]) }
    world.apply({
      type: 'join',
      memberId: 'successor',
      protocol: 'p',
      member: {
        instanceId: 'static 0',
        topics: ['t'],
        data: new Uint8Array(0),
        host: 'h',
        sessionTimeoutMs: 1,
        rebalanceTimeoutMs: 1,
      },
      returning: false,
    })
    expect(world.group).toMatchObject({ generation, phase: 'stable', leader: 'successor' })
    expect(world.group.assignments.get('successor')).toEqual(assignments.get('m1'))
    expect(world.group.ownData).toEqual(new Map([['successor', ownData]]))
    expect(commitRefusal(world.group, { id: 'm1', generation }, [])).toEqual({ code: 'MEMBER_FENCED' })
  })
})
