import { expect, it } from 'vitest'
import { sharedState, StateMessages } from './event-stream.ts'

it('creates the message between two states once', () => {
  const messages = new StateMessages()
  const [before, now, same] = [sharedState({ a: 1, b: null }), sharedState({ a: 2 }), sharedState({ a: 2 })]
  expect(messages.from(undefined, before)).toBe('event: state\ndata: {"a":1}\n\n')
  expect(messages.from(before, now)).toBe('event: change\ndata: {"a":2}\n\n')
  expect(messages.from(now, same)).toBe('')
  // If the message were created again, it would include the change.
  Object.assign(now.json ?? {}, { a: 3 })
  expect(messages.from(before, now)).toBe('event: change\ndata: {"a":2}\n\n')
})
