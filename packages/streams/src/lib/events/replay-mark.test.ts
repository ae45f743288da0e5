import { NO_HEADERS, type RawHeaders } from '@millrace/core'
import { describe, expect, it } from 'vitest'
import { dueEventId, eventId, isForAnother, replayMark, withoutReplayMark, withReplayMark } from './replay-mark.ts'

const here = { appId: 'shop', agent: 'count', topic: 'orders' }
const marked = (appId: string, agent: string, topic: string) =>
  withReplayMark([['trace', Buffer.from('1')]], replayMark(appId, agent, topic))

it.each([
  ['nobody: it was not replayed', NO_HEADERS, false],
  ['nobody that is named', [['millrace-replay-for', null]] as const, false],
  ['another agent, with no other header', withReplayMark([], replayMark('shop', 'ship', 'orders')), true],
  ['this agent', marked('shop', 'count', 'orders'), false],
  ['another agent', marked('shop', 'ship', 'orders'), true],
  ['an agent of that name in another app', marked('other', 'count', 'orders'), true],
  ['an agent of another topic, from where the header was copied along', marked('shop', 'ship', 'parcels'), false],
])('a record for %s', (_, headers, expected) => {
  expect(isForAnother(headers, here)).toBe(expected)
})

it('marks once, and takes the mark off again', () => {
  const twice = withReplayMark(marked('shop', 'count', 'orders'), replayMark('shop', 'ship', 'orders'))
  expect(twice.map(([name]) => name)).toEqual(['trace', 'millrace-replay-for'])
  expect(withoutReplayMark(twice)).toEqual([['trace', Buffer.from('1')]])
  expect(withoutReplayMark(withReplayMark([], replayMark('shop', 'ship', 'orders')))).toEqual([])
})

describe('the id of an event', () => {
  const place = { topic: 'orders@eu/1', partition: 3, offset: 20 }
  const replayOf = (id: string): RawHeaders => withReplayMark([], replayMark('shop', 'count', 'orders@eu/1'), id)

  it('is the place of its record; a replayed event keeps that of its first record', () => {
    expect(eventId(place, NO_HEADERS)).toBe('orders@eu/1/3@20')
    expect(eventId(place, replayOf('orders@eu/1/3@7'))).toBe('orders@eu/1/3@7')
    expect(withoutReplayMark(replayOf('orders@eu/1/3@7'))).toEqual([])
  })

  it.each([
    'orders@eu/1/3@20',
    'orders@eu/1/3@21',
    'orders@eu/1/2@7',
    'others/3@7',
    'orders@eu/1/3@',
    'orders@eu/1/3@-1',
    'orders@eu/1/3@1e1',
    'orders@eu/1/3@00000000000000000001',
    '',
  ])('is never a claimed one that could be that of an event to come, or of another partition: %s', (claimed) => {
    expect(eventId(place, replayOf(claimed))).toBe('orders@eu/1/3@20')
  })
})

describe('the id of an event that was due in a state', () => {
  const topic = 'shop-publish-due-minutes-repartition'
  const place = { topic, partition: 3, offset: 0 }
  const replayOf = (id: string): RawHeaders => withReplayMark([], replayMark('shop', 'publish', topic), id)

  it('is the one that it had in its state', () => {
    expect(dueEventId({ ...place, topic: 'minutes', offset: 77 }, { state: 'minutes' }, NO_HEADERS)).toBe(
      'minutes/3@77',
    )
    expect(dueEventId(place, { state: 'minutes' }, replayOf('minutes/3@77'))).toBe('minutes/3@77')
  })

  it.each(['hours/3@77', 'minutes/2@77', 'minutes/3@', 'minutes/3@-1', 'minutes/3@1e1'])(
    'is never one of another state or partition: %s',
    (claimed) => {
      expect(dueEventId(place, { state: 'minutes' }, replayOf(claimed))).toBe(`${topic}/3@0`)
    },
  )
})
