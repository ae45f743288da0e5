import { keyAndValue, resultText } from './notation.ts'
import { type Answer, isWindow, type Result, type Scenario } from './scenario.ts'

/**
 * What both must say alike, as text, so that a difference can be read. What is left out differs on purpose, and
 * `differences.ts` has a scenario for it, or is a matter of order.
 */
export function comparable({ operator, arrival }: Scenario, answer: Answer): readonly string[] {
  const late = answer.late.map((nth) => `late: ${nth}`)
  if (isWindow(operator)) {
    const updates = answer.results.filter(({ value }) => value !== null).map(resultText)
    const closed = (answer.closed ?? []).map((result) => `closed ${resultText(result)}`)
    // The windows of one event come in any order.
    return [...updates.toSorted(byNumber), ...closed.toSorted(byNumber), ...late]
  }
  if (operator.kind === 'stream-stream') return [...answer.results.map(keyAndValue).toSorted(), ...late]
  if (operator.kind === 'stream-table' || operator.kind === 'global-table')
    return answer.results.map(
      (result) => `${arrival === 'all' ? keyAndValue(result) : resultText(result)} @${result.timestamp}`,
    )
  return changes(answer.results).map(resultText).toSorted(byNumber)
}

/** Rows of a joined table that are not as before. */
function changes(results: readonly Result[]): readonly Result[] {
  const rows = new Map<string | null, string | null>()
  return results.filter(({ key, value }) => {
    if ((rows.get(key) ?? null) === value) return false
    rows.set(key, value)
    return true
  })
}

const numeric = new Intl.Collator('en', { numeric: true })

function byNumber(one: string, other: string): number {
  return numeric.compare(one, other)
}
