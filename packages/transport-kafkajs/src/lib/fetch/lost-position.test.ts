import { MillraceError } from '@millrace/core'
import { expect, test } from 'vitest'
import { newPosition } from './position.ts'
import { countMissing, requireSameTopic } from './lost-position.ts'

const view = (id: string | undefined, refusal?: MillraceError): Parameters<typeof countMissing>[1] => ({
  topic: (name) => (id === undefined ? undefined : { name, id, leaders: [0], replicas: 1 }),
  refusal: () => refusal,
})

test('a topic with another id is a new topic; a topic that is briefly missing is not', () => {
  const position = newPosition({ topic: 't', partition: 0 })
  for (const id of [undefined, 'a', 'a', undefined, 'a']) requireSameTopic(position, view(id))
  expect(() => requireSameTopic(position, view('b'))).toThrow(/TOPIC_MISSING.*"t" was deleted and created again/)
})

test('a topic that stays absent is missing, and one without access is refused at once', () => {
  const position = newPosition({ topic: 't', partition: 0 })
  for (let look = 0; look < 10; look++) countMissing([position], view(undefined))
  countMissing([position], view('a'))
  expect(() => countMissing([position], view(undefined))).toThrow(/TOPIC_MISSING.*"t" does not exist/)
  const refusal = new MillraceError('NOT_AUTHORIZED', 'no')
  expect(() => countMissing([newPosition({ topic: 't', partition: 0 })], view(undefined, refusal))).toThrow(refusal)
})
