import type { TestApp } from '../index.ts'

/** A record of a dead letter topic, as text. */
export interface LetterText {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
  /** Headers that the record had itself. */
  readonly own: Readonly<Record<string, string>>
  /** Those that tell of the failure. */
  readonly told: Readonly<Record<string, string>>
}

/** What is in a dead letter topic, read without the help of what is under test. */
export function letters(t: TestApp, topic: string): LetterText[] {
  return t.log.records(topic).map(({ partition, offset, key, value, timestamp, headers }) => {
    const texts = headers.map(([name, bytes]) => [name, bytes?.toString('utf8') ?? ''] as const)
    return {
      partition,
      offset,
      key: key?.toString('utf8') ?? null,
      value: value?.toString('utf8') ?? null,
      timestamp,
      own: Object.fromEntries(texts.filter(([name]) => !name.startsWith('millrace-'))),
      told: Object.fromEntries(texts.filter(([name]) => name.startsWith('millrace-'))),
    }
  })
}
