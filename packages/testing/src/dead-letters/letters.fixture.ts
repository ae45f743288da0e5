import type { TestApp } from '../index.ts'

/** A record of a dead letter topic, as text. */
export interface LetterText {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
  /** The record's own headers. */
  readonly own: Readonly<Record<string, string>>
  /** Headers that describe the failure. */
  readonly told: Readonly<Record<string, string>>
}

/** The contents of a dead letter topic, read without the code under test. */
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
