import type { AppSettings } from '@millrace/core'

/** A page of the app under attack, for GET and POST. */
export interface AttackedPage {
  readonly path: string
  readonly answer: (request: Request) => Promise<Response>
}

/** What the suite needs from a site. */
export interface AttackedSiteOptions {
  readonly pages: readonly AttackedPage[]
  readonly web: NonNullable<Exclude<AppSettings['web'], boolean>>
}

/** A site that listens on 127.0.0.1. */
export interface AttackedSite {
  readonly port: number
  /** The errors in its log. */
  readonly errors: readonly string[]
  stop(): Promise<void>
}
