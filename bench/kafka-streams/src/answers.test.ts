import { describe, expect, test } from 'vitest'
import { readAnswers } from './lib/answers.ts'
import { comparable } from './lib/compare.ts'
import { DIFFERENCES } from './lib/differences.ts'
import { generate } from './lib/generate.ts'
import { askMillrace } from './lib/millrace.ts'
import { answerText, parseRecord } from './lib/notation.ts'

const answered = readAnswers()
const kinds = [...new Set(answered.map(({ scenario }) => scenario.operator.kind))]

test('the committed scenarios are those that the generator makes', () => {
  expect(answered.map(({ scenario }) => scenario)).toEqual(generate(1))
})

test.each(kinds)('%s: Millrace says what Kafka Streams says', async (kind) => {
  for (const { scenario, says } of answered)
    if (scenario.operator.kind === kind)
      expect(comparable(scenario, await askMillrace(scenario)), scenario.name).toEqual(says)
})

describe('differences on purpose', () => {
  test.each(DIFFERENCES)('$name', async ({ name, operator, records, kafkaStreams, millrace }) => {
    expect(answerText(await askMillrace({ name, operator, records: records.map(parseRecord) }))).toEqual(millrace)
    expect(millrace).not.toEqual(kafkaStreams)
  })
})
