/** A breach of a rule, with the place where it is. */
export interface Problem {
  /** Relative to the root, with `/`. */
  readonly file: string
  readonly line?: number
  readonly message: string
}

export function describeProblem({ file, line, message }: Problem): string {
  return `${file}${line === undefined ? '' : `:${line}`} ${message}`
}
