import { NO_HEADERS } from '@millrace/core'
import { expect, it } from 'vitest'
import { isForAnother, replayMark, withoutReplayMark, withReplayMark } from './replay-mark.ts'

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
