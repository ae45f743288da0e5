/** A request that was answered. */
export interface RequestFigures {
  readonly method: string
  /** Path of the page as defined; `undefined` when there is none. */
  readonly page: string | undefined
  readonly status: number
  readonly durationMs: number
}

/** What became of a request for a key of another worker. */
export type RouteOutcome = 'forwarded' | 'retried' | 'refused'
