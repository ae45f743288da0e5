import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { comparable } from './compare.ts'
import { parseRecord, recordText } from './notation.ts'
import type { Answer, Scenario } from './scenario.ts'

const file = join(import.meta.dirname, '../../answers/answers.json')

/** A committed scenario with what both must say, as Kafka Streams has said it. */
export interface AnsweredScenario {
  readonly scenario: Scenario
  readonly says: readonly string[]
}

/** As in the file: one text for each record. */
type Written = Omit<Scenario, 'records'> & { readonly records: readonly string[]; readonly says: readonly string[] }

/** The committed scenarios. */
export function readAnswers(): readonly AnsweredScenario[] {
  const written: readonly Written[] = JSON.parse(readFileSync(file, 'utf8'))
  return written.map(({ says, records, ...rest }) => ({
    scenario: { ...rest, records: records.map(parseRecord) },
    says,
  }))
}

/** Replaces the committed scenarios. */
export function writeAnswers(scenarios: readonly Scenario[], answers: readonly Answer[]): void {
  const written = pairsOf(scenarios, answers).map(([scenario, answer]): Written => {
    return { ...scenario, records: scenario.records.map(recordText), says: comparable(scenario, answer) }
  })
  writeFileSync(file, `${JSON.stringify(written, null, 1)}\n`)
}

/** Each question with its answer. */
export function pairsOf<T>(questions: readonly T[], answers: readonly Answer[]): readonly (readonly [T, Answer])[] {
  return questions.map((question, nth) => {
    const answer = answers[nth]
    if (answer === undefined) throw new Error(`There are ${answers.length} answers to ${questions.length} questions.`)
    return [question, answer] as const
  })
}
