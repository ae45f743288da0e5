import { jsonText } from '@millrace/core'
import type { AnyParams } from './path-pattern.ts'
import { type JsonObject, PageError, parseBody } from './page-error.ts'

/** Status and headers of an answer, or the status alone. */
export type AnswerOptions =
  | number
  | { readonly status?: number; readonly headers?: ConstructorParameters<typeof Headers>[0] }

/** A forwarded request: another worker of the app received it and vouches for it. */
export interface ForwardedRequest {
  /** Name of that worker in the group. */
  readonly from: string
  /** Address of the client that asked it; `undefined` if unknown, or if that worker asks on its own account. */
  readonly peer: string | undefined
  /** How that worker recognised the client; `undefined` for a client that may not see pages that ask for the token. */
  readonly as: 'token' | 'session' | 'this machine' | 'worker' | undefined
  /** Whether that worker would have carried out the action itself. */
  readonly mayAct: boolean
}

/** A request to a page, and the ways to answer it. */
export interface PageContext<Params = AnyParams> {
  /** Web-standard. Its body is limited to `web.bodyLimit`: reading more rejects, and the client gets 413. */
  readonly request: Request
  readonly url: URL
  /** The path's parameters, decoded. */
  readonly params: Params
  readonly query: URLSearchParams
  /** Aborts when the client is gone, when `web.requestTimeout` is over, and when the worker stops hard. */
  readonly signal: AbortSignal
  /**
   * Address of the client (perhaps a proxy) at the other end of the connection to the worker that received the request
   * first; `undefined` if the server does not know it.
   */
  readonly peer: string | undefined
  /** Set if another worker forwarded the request and signed it. */
  readonly forwardedBy: ForwardedRequest | undefined

  /** The body as JSON; a `PageError` 400 if it is missing or not JSON. A GET request has no body. */
  readJson(): Promise<unknown>

  /** Bytes become base64, sets and maps arrays, big integers text; `undefined` is `null`. */
  json(value: unknown, options?: AnswerOptions): Response
  text(text: string, options?: AnswerOptions): Response
  html(html: string, options?: AnswerOptions): Response
  bytes(bytes: Uint8Array, options?: AnswerOptions): Response
  /** 302 unless another status is given. The location may be relative to the request's URL. */
  redirect(place: string | URL, status?: number): Response
  /** `{ "error": detail }`, with more fields if given. */
  error(status: number, detail: string, extra?: JsonObject): Response
}

/** What a page's function returns. */
export type PageAnswer = Response | Promise<Response>

/** A page's function: answers GET and HEAD. */
export type PageHandler<Params = AnyParams> = (c: PageContext<Params>) => PageAnswer

/** The request as a page's function gets it, besides the ways to answer. */
export type PageRequestParts = Pick<PageContext, 'request' | 'url' | 'params' | 'signal' | 'peer' | 'forwardedBy'>

/** What a page's function gets. */
export class PageRequest implements PageContext {
  readonly request: Request
  readonly url: URL
  readonly params: AnyParams
  readonly signal: AbortSignal
  readonly peer: string | undefined
  readonly forwardedBy: ForwardedRequest | undefined

  constructor({ request, url, params, signal, peer, forwardedBy }: PageRequestParts) {
    this.request = request
    this.url = url
    this.params = params
    this.signal = signal
    this.peer = peer
    this.forwardedBy = forwardedBy
  }

  get query(): URLSearchParams {
    return this.url.searchParams
  }

  async readJson(): Promise<unknown> {
    return parseBody(await this.request.text())
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
    // Omits the scheme and host if they are the site's: behind a proxy the client knows them better.
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
