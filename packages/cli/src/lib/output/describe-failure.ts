import { errorTable, errorText, isMillraceError, toError } from '@millrace/core'
import type { CommandColors } from '@millrace/core/operations'
import { cellText, shownText } from './foreign-text.ts'

/**
 * A failure for a person: code, title, detail, fix and causes, without repetition. With `stack`, the stacks too.
 */
export function describeFailure(thrown: unknown, color: CommandColors, options: { readonly stack: boolean }): string {
  const error = toError(thrown)
  const toDo = (fix: string | undefined): readonly string[] =>
    fix === undefined ? [] : [`  ${color.cyan('To do:')} ${shownText(fix)}`]
  const lines = isMillraceError(error)
    ? [
        `${color.red(color.bold(cellText(error.code)))} ${cellText(titleOf(error.code))}.`,
        `  ${shownText(error.detail)}`,
        ...toDo(error.fix),
      ]
    : [`${color.red(color.bold(cellText(error.name)))} ${shownText(error.message)}`]
  const causes = causesOf(error).flatMap(({ name, text, fix }) => [
    `  ${color.dim(shownText(text === undefined ? `Caused by ${name}.` : `Caused by ${name}: ${text}`))}`,
    ...toDo(fix),
  ])
  const stack = options.stack
    ? [color.dim(shownText(error.stack ?? ''))]
    : isMillraceError(error)
      ? []
      : placesIn(error.stack ?? '').map((place) => color.dim(cellText(place)))
  return [...lines, ...causes, ...stack].join('\n')
}

/** A failure for a program, with `--json`. */
export function failureFacts(thrown: unknown): {
  readonly error: {
    readonly code: string | null
    readonly title: string
    readonly detail: string
    readonly fix: string | null
    readonly causes: readonly string[]
  }
} {
  const error = toError(thrown)
  const causes = causesOf(error).map(({ name, text }) => (text === undefined ? name : `${name}: ${text}`))
  if (!isMillraceError(error))
    return { error: { code: null, title: error.name, detail: error.message, fix: null, causes } }
  const { code, detail, fix } = error
  return { error: { code, title: titleOf(code), detail, fix: fix ?? null, causes } }
}

function titleOf(code: string): string {
  // A newer copy of Millrace may have codes that this copy lacks.
  return Object.entries(errorTable).find(([known]) => known === code)?.[1].title ?? code
}

/** The new information in a cause. */
interface Cause {
  /** Its code, or the name of its class. */
  readonly name: string
  /** Its detail; `undefined` if already shown. */
  readonly text: string | undefined
  /** The fix; `undefined` if there is none or it was already shown. */
  readonly fix: string | undefined
}

/** The chain of causes, five at most, without those that say nothing new. */
function causesOf(error: Error): readonly Cause[] {
  const causes: Cause[] = []
  let said = error.message
  for (let at = error.cause, depth = 0; at !== undefined && depth < 5; depth += 1) {
    const cause = toError(at)
    const [name, fix] = isMillraceError(cause) ? [cause.code, cause.fix] : [cause.name, undefined]
    const text = errorText(cause)
    const isNewText = !said.includes(lastLine(text))
    const isNewFix = fix !== undefined && !said.includes(fix)
    if (isNewText || isNewFix)
      causes.push({ name, text: isNewText ? text : undefined, fix: isNewFix ? fix : undefined })
    said += ` ${text} ${fix ?? ''}`
    at = cause.cause
  }
  return causes
}

function lastLine(text: string): string {
  return text.slice(text.trimEnd().lastIndexOf('\n') + 1)
}

/** Where in the user's code: the first lines of a stack outside Node and installed packages. */
export function placesIn(stack: string): readonly string[] {
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line) && !line.includes('node:') && !line.includes('node_modules'))
    .slice(0, 3)
}
