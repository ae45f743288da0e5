import { inspect } from 'node:util'
import { attackSuite, type AttackedPage, type AttackedSite, type AttackedSiteOptions } from '@millrace/conformance'
import { type Logger, systemClock } from '@millrace/core'
import type { WebDriver } from '@millrace/core/http'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { View, type PageContext } from '@millrace/web'
import { honoDriver } from '@millrace/web-hono'
import { composeVisits } from './app.ts'
import { plainWeb } from './plain-web.ts'
import { SortedStore } from './sorted-store.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

async function start(driver: WebDriver, { pages, web }: AttackedSiteOptions): Promise<AttackedSite> {
  const transport = createMemoryTransport(createMemoryLog(), { clock: systemClock(), log: silent })
  const errors: string[] = []
  const log: Logger = { ...silent, error: (fields) => void errors.push(inspect(fields)) }
  const { worker, site, url } = composeVisits({ transport, store: new SortedStore(), web: driver, log }, web)
  for (const page of pages) site.page(page.path, viewOf(page))
  await worker.start()
  return { port: Number(new URL(url() ?? '').port), errors, stop: () => worker.stop() }
}

function viewOf({ answer }: AttackedPage): View {
  return new (class extends View {
    override get({ request }: PageContext): Promise<Response> {
      return answer(request)
    }

    override post({ request }: PageContext): Promise<Response> {
      return answer(request)
    }
  })()
}

attackSuite('plain', (options) => start(plainWeb, options))
attackSuite('hono', (options) => start(honoDriver(), options))
