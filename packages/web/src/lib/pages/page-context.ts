import type { AnyParams } from '../paths/path-params.ts'
import type { JsonObject } from './json-text.ts'

/** Status and headers of an answer, or the status alone. */
export type AnswerOptions =
  | number
  | { readonly status?: number; readonly headers?: ConstructorParameters<typeof Headers>[0] }

/** A request to a page, and the ways to answer it. */
export interface PageContext<Params = AnyParams> {
  /** Web-standard. Its body may be as long as `web.bodyLimit`: what reads more rejects, and the client gets 413. */
  readonly request: Request
  readonly url: URL
  /** The path's parameters, decoded. */
  readonly params: Params
  readonly query: URLSearchParams
  /** Aborts when the client is gone, when `web.requestTimeout` is over, and when the worker stops hard. */
  readonly signal: AbortSignal
  /** Address at the other end of the connection, a proxy's perhaps; `undefined` where the server does not tell. */
  readonly peer: string | undefined

  /** Bytes become base64, sets and maps arrays, big integers text; `undefined` is `null`. */
  /** The body as JSON; a `PageError` 400 when it is none, as from `request.json()`. */
  readJson(): Promise<unknown>

  json(value: unknown, options?: AnswerOptions): Response
  text(text: string, options?: AnswerOptions): Response
  html(html: string, options?: AnswerOptions): Response
  bytes(bytes: Uint8Array, options?: AnswerOptions): Response
  /** 302 unless another status is given. The place may be relative to the request's. */
  redirect(place: string | URL, status?: number): Response
  /** `{ "error": detail }`, with more fields if there are any. */
  error(status: number, detail: string, extra?: JsonObject): Response
}

/** What a page's function gives back. */
export type PageAnswer = Response | Promise<Response>

/** A page: answers GET, and HEAD. */
export type PageHandler<Params = AnyParams> = (c: PageContext<Params>) => PageAnswer
