import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeCommitMetadata, encodeCommitMetadata, encodeProgress } from './commit-metadata.ts'
import {
  committedTimes,
  type CommittedState,
  finishedText,
  newestEntry,
  stateText,
  timeTexts,
} from './committed-times.ts'

const time = fc.oneof(fc.constant(-Infinity), fc.nat({ max: Number.MAX_SAFE_INTEGER }))
const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter((text) => !/\p{Surrogate}/u.test(text))

test('times are read back as committed, together with the progress', () => {
  fc.assert(
    fc.property(
      fc.dictionary(name, fc.nat()),
      fc.dictionary(
        name,
        fc.record({
          watermark: time,
          note: fc.stringMatching(/^[0-9a-z.]{0,8}$/),
          writers: fc.array(name, { maxLength: 3 }),
        }),
      ),
      (finished, states) => {
        const texts = [
          ...Object.entries(finished).flatMap(([id, at]) => finishedText(id, at) ?? []),
          ...Object.entries(states).map(([state, known]) => stateText(state, known)),
        ].slice(0, 8)
        const progress = new Map([['count', { position: 7, finished: [{ from: 9, to: 12 }] }]])
        for (const metadata of [
          encodeCommitMetadata(5, progress, new Set(), texts).text,
          encodeProgress(5, progress, new Set(), texts),
        ]) {
          const known = committedTimes(metadata)
          for (const [id, at] of known.finished) expect(at).toBe(finished[id])
          for (const [state, found] of known.states) expect(found).toEqual(states[state])
          expect(known.finished.size + known.states.size).toBe(texts.length)
          expect(decodeCommitMetadata({ topic: 't', partition: 0, offset: 5, metadata })).toEqual(progress)
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('a worker of an earlier release takes each entry for an unknown subscription', () => {
  // Earlier releases read an entry as an id, how far it is beyond the offset, and ranges.
  const known = /^([^:]+):([0-9a-z]+)((?:,[0-9a-z]+\+[0-9a-z]+)*)$/
  const texts = [
    finishedText('count', 1_700_000_000_000),
    stateText('counts-tumbling-1m', { watermark: 5, note: '1.a', writers: ['count', 'a:b c'] }),
  ]
  for (const text of texts) expect(text).toMatch(known)
})

test('times take precedence over ranges, whose events are then handled again', () => {
  const finished = Array.from({ length: 2000 }, (_, n) => ({ from: 10 + 2 * n, to: 11 + 2 * n }))
  const texts = [finishedText('count', 1_700_000_000_000) ?? '']
  const { text, complete } = encodeCommitMetadata(5, new Map([['count', { position: 5, finished }]]), new Set(), texts)
  expect(complete).toBe(false)
  expect(text.length).toBeLessThanOrEqual(4096)
  expect(committedTimes(text).finished.get('count')).toBe(1_700_000_000_000)
})

test('before its first event, a subscription has no entry, and a state one without a time', () => {
  expect(finishedText('count', -Infinity)).toBeUndefined()
  const text = stateText('counts', { watermark: -Infinity, note: '', writers: [] })
  expect(text).toBe('<<counts<<:0')
  expect(committedTimes(`m1 ${text}`).states.get('counts')).toEqual({ watermark: -Infinity, note: '', writers: [] })
})

test('the entries for event time are found among the others', () => {
  expect(timeTexts('m1 <count<a:0 count:2 <<counts<b<:0 >count>out:0')).toEqual(['<count<a:0', '<<counts<b<:0'])
  expect(timeTexts('m1 count:2')).toEqual([])
})

test('unreadable entries are left out, and the others are read', () => {
  const { finished, states } = committedTimes('m1 <early<a:1 <%E0<a:0 <<%E0<a<:0 <late<!:0 <count<a:0')
  expect([...finished]).toEqual([
    ['late', -Infinity],
    ['count', 10],
  ])
  expect(states.size).toBe(0)
})

test('of the entries of a state, one from before it was written is not the newest, whatever the order of partitions', () => {
  const of = (state: CommittedState) => ({ finished: new Map(), states: new Map([['reminders', state]]) })
  // A release that reads one topic more has left it with that topic's partition.
  const unwritten = of({ watermark: -Infinity, note: '', writers: [] })
  const written = of({ watermark: -Infinity, note: '7', writers: ['set-reminders'] })
  const later = of({ watermark: 5, note: '8', writers: ['set-reminders'] })
  const idle = of({ watermark: 9, note: '', writers: [] })
  for (const known of [
    [unwritten, written],
    [written, unwritten],
    [idle, written],
  ])
    expect(newestEntry('reminders', known)?.note).toBe('7')
  expect(newestEntry('reminders', [written, later, unwritten])?.note).toBe('8')
  expect(newestEntry('others', [written])).toBeUndefined()
})
