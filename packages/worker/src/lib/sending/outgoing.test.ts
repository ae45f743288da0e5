import { deferred, MillraceError } from '@millrace/core'
import { expect, test } from 'vitest'
import type { SendRequest } from '../contracts/event.ts'
import { outgoing } from '../fixtures/test-worker.fixture.ts'
import { Epoch } from './epoch.ts'
import { Outgoing, type SendOrigin } from './outgoing.ts'

interface Sent {
  readonly record: Outgoing
  readonly epoch: Epoch
}

/** A record of a task that is on its way. */
function sent(change: Partial<SendRequest> = {}, origin?: SendOrigin): Sent {
  const record = new Outgoing({ ...outgoing('out', 2, 'k', 'v'), ...change }, origin)
  const epoch = new Epoch()
  epoch.added()
  record.epoch = epoch
  return { record, epoch }
}

test('a record has what was asked for, and no partition until one is chosen', () => {
  const request = outgoing('out', 2, 'k', 'v')
  const { topic, partition, key, value, headers, timestamp } = request
  expect(new Outgoing(request, undefined)).toMatchObject({ topic, partition, key, value, headers, timestamp })
  const { record } = sent({ partition: undefined })
  expect(record.partition).toBe(-1)
  expect([record.isFor({ topic: 'out', partition: -1 }), record.isFor({ topic: 'out', partition: 2 })]).toEqual([
    true,
    false,
  ])
  expect(record.isFor({ topic: 'other', partition: -1 })).toBe(false)
  expect([record.settled, record.abandoned, record.offset < -1]).toEqual([false, false, true])
  record.epoch?.abandon(new Error('Lost.'))
  expect(record.abandoned).toBe(true)
  expect(new Outgoing(request, undefined).abandoned).toBe(false)
})

test.each([0, 7, -1])('its metadata is known once it is stored, at offset %s', async (offset) => {
  const { record, epoch } = sent({ timestamp: 5 })
  const [early, earlier] = [record.metadata(), record.metadata()]
  record.acknowledged(offset)
  const stored = { topic: 'out', partition: 2, offset, timestamp: 5 }
  expect([await early, await earlier, await record.metadata()]).toEqual([stored, stored, stored])
  expect([record.settled, record.offset, epoch.pending, epoch.error]).toEqual([true, offset, 0, undefined])
})

test('it fails once, and whoever asks gets the first reason', async () => {
  const { record, epoch } = sent()
  const early = expect(record.metadata()).rejects.toThrow('The first.')
  record.failed(new Error('The first.'))
  record.failed(new Error('The second.'))
  await early
  await expect(record.metadata()).rejects.toThrow('The first.')
  expect([record.settled, epoch.pending, epoch.error?.message]).toEqual([true, 0, 'The first.'])
})

test('nobody has to ask', async () => {
  const lost = new Outgoing(outgoing('out', 2, 'k', 'v'), undefined)
  lost.dropped()
  await expect(lost.metadata()).rejects.toMatchObject({ code: 'NO_CURRENT_EVENT' })
  const stored = new Outgoing(outgoing('out', 2, 'k', 'v'), undefined)
  stored.acknowledged(3)
  expect(stored.settled).toBe(true)
})

test.each(['TOPIC_MISSING', 'PARTITION_MISSING', 'NOT_AUTHORIZED'] as const)(
  'a record that may be left out is, if the broker refuses it with %s, and its sender is told',
  async (code) => {
    const error = new MillraceError(code, 'No.')
    const told: Error[] = []
    const { record, epoch } = sent({ onMissing: (reason) => void told.push(reason) })
    const early = expect(record.metadata()).rejects.toBe(error)
    expect(record.refused(error)).toBe(true)
    await early
    expect([told, record.settled, epoch.pending, epoch.error]).toEqual([[error], true, 0, undefined])
    // Where it may not be left out, everything of its epoch fails.
    const other = sent()
    expect([other.record.refused(error), other.epoch.error]).toEqual([false, error])
    const unasked = new Outgoing({ ...outgoing('out', 2, 'k', 'v'), onMissing: () => {} }, undefined)
    expect(unasked.refused(error)).toBe(true)
  },
)

test('a record that may be left out fails like any other for other reasons', () => {
  const error = new MillraceError('RECORD_TOO_LARGE', 'No.')
  const told: Error[] = []
  const { record, epoch } = sent({ onMissing: (reason) => void told.push(reason) })
  expect([record.refused(error), epoch.error, told]).toEqual([false, error, []])
})

test('its own event cannot wait for it, and may ask once it is over', async () => {
  const refusal = (): MillraceError => new MillraceError('WORKER_FAILED', 'Refused.')
  const origin = { open: true, describe: () => 'in/0@3 of agent a', refusal }
  const { record } = sent({}, origin)
  await expect(record.metadata()).rejects.toMatchObject({ code: 'AWAIT_IN_EVENT', message: /in\/0@3 of agent a/ })
  origin.open = false
  const answer = deferred<unknown>()
  record.metadata().then(answer.resolve, answer.reject)
  record.acknowledged(1)
  expect(await answer.promise).toMatchObject({ offset: 1 })
  // What is known already is told to everybody.
  origin.open = true
  expect(await record.metadata()).toMatchObject({ offset: 1 })
})
