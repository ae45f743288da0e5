import { expect, test } from 'vitest'
import type { OpenState, StateDefinition } from '../contracts/task.ts'
import type { TopicDeclaration } from '../contracts/worker-context.ts'
import { timeCarriers } from './time-carriers.ts'

function state(eventTime: boolean): StateDefinition {
  const openState = (): OpenState => {
    throw new Error('It is not opened.')
  }
  return {
    name: 'counts',
    changelog: { topic: 'counts-changelog', config: {} },
    partitions: undefined,
    eventTime,
    openState,
  }
}

const grouped: TopicDeclaration = {
  ...{ name: 'grouped', partitions: undefined, config: {}, create: true, internal: true, keyCodec: undefined },
  timeOf: ['read'],
}
const subscriptions = [{ id: 'read', topics: ['in'], agent: 'read', instances: 1, ordering: 'key' }] as const

function carriers(eventTime: boolean, partitions: number) {
  const topics = new Map([
    ['in', partitions],
    ['grouped', 4],
  ])
  return timeCarriers({ declarations: [grouped], subscriptions, topics, states: new Map([[state(eventTime), 4]]) })
}

test('a topic carries the times of all tasks that write into it, where a state keeps event time', () => {
  expect(carriers(true, 2)).toEqual([
    { topic: 'grouped', partitions: 4, subscriptions: ['read'], tasks: ['2-0', '2-1'] },
  ])
})

test('no topic carries times where none are kept, or where one task alone writes', () => {
  expect(carriers(false, 2)).toEqual([])
  expect(carriers(true, 1)).toEqual([])
})
