import type { Answer, Result, ScenarioRecord } from './scenario.ts'

const RECORD = /^(left|right) ([^=]*)=([^@]*)@(\d+)$/

/** A record as text: `left a=1@100` is value `1` of key `a` at time 100; `left a=null@100` has no value. */
export function recordText({ topic, key, value, timestamp }: ScenarioRecord): string {
  return `${topic} ${key}=${value ?? 'null'}@${timestamp}`
}

/** The record that a text stands for. Throws for any other text. */
export function parseRecord(text: string): ScenarioRecord {
  const [, topic, key, value, timestamp] = RECORD.exec(text) ?? []
  if ((topic !== 'left' && topic !== 'right') || key === undefined || value === undefined)
    throw new Error(`This is no record of a scenario: ${text}`)
  return { topic, key, value: value === 'null' ? null : value, timestamp: Number(timestamp) }
}

/** An answer as text, line by line: with which record a result came, its key, window, value and timestamp. */
export function answerText({ results, closed = [], late }: Answer): readonly string[] {
  return [
    ...results.map((result) => `${resultText(result)} @${result.timestamp}`),
    ...closed.map((result) => `closed ${resultText(result)} @${result.timestamp}`),
    ...late.map((nth) => `late: ${nth}`),
  ]
}

/** A result without its timestamp. */
export function resultText(result: Result): string {
  return `${result.after}: ${keyAndValue(result)}`
}

export function keyAndValue({ key, window, value }: Result): string {
  return `${key ?? '(none)'}${window === undefined ? '' : ` ${window[0]}-${window[1]}`} ${value ?? '(gone)'}`
}
