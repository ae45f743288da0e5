import { type App, createApp } from '@millrace/app'
import { expect } from 'vitest'
import { declareAway, downtimeFlow } from './downtime-flow.ts'
import { declarePageViews, declareViews, type PageViews } from './page-views.ts'
import { viewFlow } from './view-flow.ts'

const OUTPUTS = ['minuteTotals', 'visits', 'late'] as const

type Output = (typeof OUTPUTS)[number]
type Guarantee = 'at-least-once' | 'exactly-once'
type Sent = readonly [key: string, value: unknown]

/** One app on a broker, in this process, with what has come out of it. */
class PageViewsOn {
  readonly id = `page-views-${process.pid}-${Date.now().toString(36)}`
  readonly #broker: string
  readonly #guarantee: Guarantee
  readonly #seen = new Map<Output, Sent[]>(OUTPUTS.map((of) => [of, []]))

  constructor(broker: string, guarantee: Guarantee) {
    this.#broker = broker
    this.#guarantee = guarantee
  }

  /** What was sent to a topic, in the order of each key. */
  sent(of: Output): readonly Sent[] {
    return this.#seen.get(of) ?? []
  }

  /** The app, to be started: each time another worker, with an empty store. */
  create(): { readonly app: App; readonly declared: PageViews } {
    const { id } = this
    const app = this.#app(id)
    const declared = declarePageViews(app, `${id}-`)
    // Reads what has come out, in the same app: exactly once, of what is committed.
    for (const of of OUTPUTS)
      app.agent(`look-at-${of}`, declared[of], async (stream) => {
        for await (const { key, value } of stream.events()) this.#seen.get(of)?.push([key, value])
      })
    return { app, declared }
  }

  /** An app that sends views and reads none. */
  createSender(): { readonly app: App; readonly views: PageViews['views'] } {
    const app = this.#app(`${this.id}-sender`)
    return { app, views: declareViews(app, `${this.id}-`) }
  }

  #app(id: string): App {
    const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
    const processingGuarantee = this.#guarantee
    const settings = { id, broker: this.#broker, processingGuarantee, commitInterval: '50ms', web: false } as const
    return createApp(settings, { log: quiet })
  }
}

async function running(app: App, use: () => Promise<void>): Promise<void> {
  await app.start()
  try {
    await use()
  } finally {
    await app.stop()
  }
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  await expect.poll(holds, { timeout: 30_000, interval: 20, message: what }).toBe(true)
}

/** The flow in this process, on a broker. */
export async function viewFlowOn(broker: string, guarantee: Guarantee): Promise<void> {
  const on = new PageViewsOn(broker, guarantee)
  const { app, declared } = on.create()
  await running(app, () => viewFlow({ declared, until, sent: async (of) => on.sent(of) }))
}

/** The flow of an app that was down, in this process, on a broker. */
export async function downtimeFlowOn(broker: string, guarantee: Guarantee): Promise<void> {
  const on = new PageViewsOn(broker, guarantee)
  await downtimeFlow({
    until,
    sent: (of) => on.sent(of),
    life: async (use) => {
      const { app, declared } = on.create()
      const away = declareAway(app, declared)
      await running(app, () => use({ declared, away }))
    },
    meanwhile: async (use) => {
      // Without a worker.
      const { app, views } = on.createSender()
      try {
        await use(views)
      } finally {
        await app.stop()
      }
    },
  })
}
