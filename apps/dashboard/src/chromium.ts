import { accessSync, constants } from 'node:fs'
import { afterAll, describe } from 'vitest'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
const args = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // No process that is started ahead of a page which may never come.
  '--disable-features=SpareRendererForSitePerProcess',
]

/** A page, and everything that went wrong on it. */
export interface WatchedPage {
  readonly page: Page
  /** Errors of scripts, of the console and of requests. */
  readonly wrong: readonly string[]
}

/** Tests that need a browser: skipped where there is none, loudly; in CI they fail. */
export function describeInChromium(name: string, tests: (open: OpenPage) => void): void {
  const isThere = canRun()
  if (!isThere && process.env['CI'] !== 'true') {
    console.warn(
      `NOT TESTED in a browser: ${name}. There is no ${executablePath}: apt-get install chromium, or set CHROMIUM.`,
    )
    describe.skip(name, () => {
      tests(() => Promise.reject(new Error('There is no browser.')))
    })
    return
  }
  describe(name, () => {
    // One for all, which costs a second of processor time to start: each page has a session of its own in it.
    let browser: Promise<Browser> | undefined
    afterAll(async () => (await browser)?.close())
    tests((url, options) => {
      browser ??= chromium.launch({ executablePath, args })
      return openPage(browser, url, options)
    })
  })
}

export type OpenPage = (url: string, options?: BrowserContextOptions) => Promise<WatchedPage & AsyncDisposable>

async function openPage(
  browser: Promise<Browser>,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage & AsyncDisposable> {
  const context = await (await browser).newContext(options)
  try {
    const page = await context.newPage()
    const wrong: string[] = []
    page.on('pageerror', (error) => wrong.push(error.stack ?? error.message))
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') wrong.push(message.text())
    })
    await page.goto(url)
    return { page, wrong, [Symbol.asyncDispose]: () => context.close() }
  } catch (error) {
    await context.close()
    throw error
  }
}

function canRun(): boolean {
  try {
    accessSync(executablePath, constants.X_OK)
    return true
  } catch {
    return false
  }
}
