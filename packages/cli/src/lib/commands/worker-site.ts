import { errorText, isMillraceError, MillraceError, withTimeout } from '@millrace/core'
import { readEvents, type ServerEvent } from '@millrace/core/http'
import { cellText } from '../output/foreign-text.ts'
import type { CommandContext } from './command-context.ts'

/** A worker answers within a second or says that it is still busy; it may have to ask the leader first. */
const ANSWER_MS = 20_000
/** Read-only pages answer at once. */
const READ_MS = 5_000
/** A worker bound to one of these is reached on the loopback address, where actions are allowed. */
const ANYWHERE = ['0.0.0.0', '::', '']

interface ActionOutcome {
  readonly result: string
  readonly error: string | undefined
}

/** The content of a worker's page. */
export interface WorkerAnswer {
  /** Id of the worker that answered. */
  readonly worker: string | undefined
  /** Its origin: `http://127.0.0.1:6066`. */
  readonly site: string
  readonly body: unknown
}

/**
 * Presses a button of a worker's page. Throws `WORKER_UNREACHABLE` when no worker of the app answers, and
 * `ACTION_REFUSED` with the worker's message when it refuses.
 */
export async function actOnWorker(context: CommandContext, path: string): Promise<ActionOutcome> {
  const { site } = await findWorker(context, ANSWER_MS)
  const { status, body } = await ask(context, { site, path, method: 'POST', limitMs: ANSWER_MS })
  if (isOk(status)) return { result: textAt(body, 'result') ?? 'done', error: textAt(body, 'error') }
  throw refused(site, { status, body })
}

/**
 * Fetches a built-in page of a running worker. Throws `WORKER_UNREACHABLE` when no worker of the app answers, and
 * `ACTION_REFUSED` with the worker's message when it refuses.
 */
export async function readFromWorker(context: CommandContext, path: string): Promise<WorkerAnswer> {
  const { site, worker } = await findWorker(context, READ_MS)
  const { status, body } = await ask(context, { site, path, method: 'GET', limitMs: READ_MS })
  if (isOk(status)) return { worker, site: site.origin, body }
  throw refused(site, { status, body })
}

/**
 * The server-sent events of a built-in page of a running worker, until the worker ends its answer. Throws as `readFromWorker`
 * does.
 */
export async function* eventsOfWorker(
  context: CommandContext,
  path: string,
  lastId: string | undefined,
): AsyncGenerator<ServerEvent> {
  const { site } = await findWorker(context, READ_MS)
  const { app, cli } = context
  const again = lastId === undefined ? {} : { 'last-event-id': lastId }
  try {
    const headers = { accept: 'text/event-stream', ...login(app), ...again }
    const response = await fetch(new URL(path, site), { headers, signal: cli.signal })
    if (!isOk(response.status)) throw refused(site, { status: response.status, body: parsed(await response.text()) })
    if (response.body !== null) yield* readEvents(response.body)
  } catch (error) {
    cli.signal.throwIfAborted()
    throw isMillraceError(error) ? error : unreachable(site, error)
  }
}

async function findWorker(
  context: CommandContext,
  limitMs: number,
): Promise<{ readonly site: URL; readonly worker: string | undefined }> {
  const { app } = context
  const site = siteOf(context)
  const { body } = await ask(context, { site, path: '/', method: 'GET', limitMs })
  const answered = textAt(body, 'app')
  if (answered === app.id) return { site, worker: textAt(body, 'worker') }
  throw new MillraceError(
    'WORKER_UNREACHABLE',
    answered === undefined
      ? `What answers at ${site.origin} is no worker of Millrace.`
      : `At ${site.origin} is a worker of the app "${answered}", not of "${app.id}".`,
  )
}

function isOk(status: number): boolean {
  return status >= 200 && status < 300
}

function refused({ origin }: URL, { status, body }: SiteAnswer): MillraceError {
  return new MillraceError(
    'ACTION_REFUSED',
    `The worker at ${origin} answered ${status}: ${cellText(textAt(body, 'error') ?? 'no reason given')}`,
  )
}

function siteOf({ app, values }: CommandContext): URL {
  const given = values['worker']
  if (given !== undefined) {
    const url = URL.canParse(String(given)) ? new URL(String(given)) : undefined
    if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
    throw new MillraceError('COMMAND_USAGE', `--worker takes http://host:port, not "${String(given)}".`)
  }
  const { enabled, scheme = 'http', admin, ...open } = app.place().web
  const { host, port } = admin ?? open
  if (!enabled || port === 0)
    throw new MillraceError(
      'WORKER_UNREACHABLE',
      enabled
        ? `Workers of the app "${app.id}" take any free port (${admin === undefined ? 'web.port' : 'web.adminPort'} is 0).`
        : `Workers of the app "${app.id}" serve no site (web.enabled is off).`,
    )
  const name = ANYWHERE.includes(host) ? '127.0.0.1' : host
  return new URL(`${scheme}://${name.includes(':') ? `[${name}]` : name}:${port}`)
}

interface SiteAnswer {
  readonly status: number
  readonly body: unknown
}

interface SiteRequest {
  readonly site: URL
  readonly path: string
  readonly method: 'GET' | 'POST'
  readonly limitMs: number
}

async function ask(
  { app, cli, clock }: CommandContext,
  { site, path, method, limitMs }: SiteRequest,
): Promise<SiteAnswer> {
  const abort = new AbortController()
  const exchange = async (): Promise<SiteAnswer> => {
    const response = await fetch(new URL(path, site), {
      method,
      headers: { accept: 'application/json', 'millrace-action': 'cli', ...login(app) },
      signal: AbortSignal.any([cli.signal, abort.signal]),
    })
    const text = await response.text()
    return { status: response.status, body: parsed(text) }
  }
  try {
    return await withTimeout(exchange(), limitMs, clock, () => {
      abort.abort()
      return new Error(`no answer for ${limitMs / 1000} s`)
    })
  } catch (error) {
    cli.signal.throwIfAborted()
    throw unreachable(site, error)
  }
}

function login(app: CommandContext['app']): Readonly<Record<string, string>> {
  const { token } = app.place().web
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}

function unreachable(site: URL, error: unknown): MillraceError {
  const why = error instanceof Error && error.cause !== undefined ? errorText(error.cause) : errorText(error)
  return new MillraceError('WORKER_UNREACHABLE', `Nothing answers at ${site.origin}: ${why}.`, { cause: error })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The server is not a worker, which the caller reports.
    return undefined
  }
}

function textAt(body: unknown, name: string): string | undefined {
  const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined
  return typeof value === 'string' ? value : undefined
}
