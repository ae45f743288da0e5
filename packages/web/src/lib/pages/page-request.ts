import type { AnyParams } from '../paths/path-params.ts'
import { PageError } from '../errors/page-error.ts'
import { jsonText, type JsonObject } from './json-text.ts'
import type { AnswerOptions, PageContext } from './page-context.ts'

export interface PageRequestParts {
  readonly request: Request
  readonly url: URL
  readonly params: AnyParams
  readonly signal: AbortSignal
  readonly peer: string | undefined
}

/** What a page's function is given. */
export class PageRequest implements PageContext {
  readonly request: Request
  readonly url: URL
  readonly params: AnyParams
  readonly signal: AbortSignal
  readonly peer: string | undefined

  constructor({ request, url, params, signal, peer }: PageRequestParts) {
    this.request = request
    this.url = url
    this.params = params
    this.signal = signal
    this.peer = peer
  }

  get query(): URLSearchParams {
    return this.url.searchParams
  }

  readJson(): Promise<unknown> {
    return this.request.json()
  }

  json(value: unknown, options?: AnswerOptions): Response {
    return answer(jsonText(value), 'application/json', options)
  }

  text(text: string, options?: AnswerOptions): Response {
    return answer(text, 'text/plain; charset=utf-8', options)
  }

  html(html: string, options?: AnswerOptions): Response {
    return answer(html, 'text/html; charset=utf-8', options)
  }

  bytes(bytes: Uint8Array, options?: AnswerOptions): Response {
    return answer(bytes, 'application/octet-stream', options)
  }

  redirect(place: string | URL, status = 302): Response {
    const location = typeof place === 'string' ? new URL(place, this.url) : place
    // Without scheme and host where they are the site's: behind a proxy the client knows them better.
    const isHere = location.origin === this.url.origin
    return new Response(null, {
      status,
      headers: {
        'content-length': '0',
        location: isHere ? location.href.slice(location.origin.length) : location.href,
      },
    })
  }

  error(status: number, detail: string, extra: JsonObject = {}): Response {
    if (!(status >= 400 && status <= 599)) throw new PageError(500, `A page answered an error with status ${status}.`)
    return answer(jsonText({ ...extra, error: detail }), 'application/json', status)
  }
}

function answer(body: string | Uint8Array, contentType: string, options: AnswerOptions = 200): Response {
  const { status = 200, headers: given } = typeof options === 'number' ? { status: options } : options
  const headers = new Headers(given)
  if (!headers.has('content-type')) headers.set('content-type', contentType)
  headers.set('content-length', String(Buffer.byteLength(body)))
  return new Response(body, { status, headers })
}
