import type { StandardSchemaV1 } from '@standard-schema/spec'
import { MillraceError } from '../errors/millrace-error.ts'

/**
 * The output of a schema for a value. Throws `SCHEMA_MISMATCH` with the path and message of each issue (the first five),
 * and `SCHEMA_ASYNC` when the schema answers with a promise: bytes are decoded where nothing can wait.
 */
export function validateWith<S extends StandardSchemaV1>(schema: S, value: unknown): StandardSchemaV1.InferOutput<S>
export function validateWith(schema: StandardSchemaV1, value: unknown): unknown {
  const { validate, vendor } = schema['~standard']
  const result = validate(value)
  if (result instanceof Promise) {
    result.catch(ignoreOutcome)
    throw new MillraceError('SCHEMA_ASYNC', `The ${vendor} schema answered with a promise.`)
  }
  if (result.issues === undefined) return result.value
  throw new MillraceError('SCHEMA_MISMATCH', describeIssues(result.issues))
}

const MOST_ISSUES = 5

function describeIssues(issues: readonly StandardSchemaV1.Issue[]): string {
  const told = issues.slice(0, MOST_ISSUES).map(describeIssue)
  const more = issues.length > MOST_ISSUES ? [`and ${issues.length - MOST_ISSUES} more`] : []
  return `${[...told, ...more].join('; ')}.`
}

function describeIssue({ path, message }: StandardSchemaV1.Issue): string {
  const sentence = message.replace(/\.$/, '')
  if (path === undefined || path.length === 0) return sentence
  return `${path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.')}: ${sentence}`
}

/** Nobody waits for a validation that was refused for being asynchronous; its outcome means nothing. */
function ignoreOutcome(): void {}
