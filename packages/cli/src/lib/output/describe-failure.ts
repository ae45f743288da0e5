import { errorTable, isMillraceError, toError, type CommandColors } from '@millrace/core'

/**
 * A failure as a person reads it: code, title, what happened, what to do, and what caused it. With `stack` the stacks
 * too.
 */
export function describeFailure(thrown: unknown, color: CommandColors, options: { readonly stack: boolean }): string {
  const error = toError(thrown)
  const lines = isMillraceError(error)
    ? [
        `${color.red(color.bold(error.code))} ${titleOf(error.code)}.`,
        `  ${error.detail}`,
        `  ${color.cyan('To do:')} ${error.fix}`,
      ]
    : [`${color.red(color.bold(error.name))} ${error.message}`]
  const causes = causesOf(error).map((cause) => `  ${color.dim(`Caused by ${cause.name}: ${cause.message}`)}`)
  const isOurs = isMillraceError(error)
  const stack = options.stack
    ? [color.dim(error.stack ?? '')]
    : isOurs
      ? []
      : placesIn(error.stack ?? '').map((place) => color.dim(place))
  return [...lines, ...causes, ...stack].join('\n')
}

function titleOf(code: string): string {
  // A newer copy of Millrace may have codes that this one lacks.
  return Object.entries(errorTable).find(([known]) => known === code)?.[1].title ?? code
}

/** The chain of causes, five at most. One whose message is already said is passed over. */
function causesOf(error: Error): readonly Error[] {
  const causes: Error[] = []
  for (let at = error.cause, depth = 0; at !== undefined && depth < 5; depth += 1) {
    const cause = toError(at)
    if (!error.message.includes(lastLine(cause.message))) causes.push(cause)
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
