import type { Clock } from './clock.ts'

/** What a server must not let its clients exceed. */
export interface WebServerLimits {
  /** Request line and headers together; more is answered with 431. */
  readonly headerBytes: number
  /** A client that is waited for (a request unfinished, an answer not taken, a connection unused) and sends or takes nothing for so long is cut off. */
  readonly idleMs: number
  /**
   * Connections at the same time. For one more the connection is ended that has been without a request for longest, or else one
   * whose client does not take its answer; where all are busy, the new one. So clients that only wait keep nobody out.
   */
  readonly connections: number
}

/** What a server shows to its clients over TLS, and asks of them; all in PEM. */
export interface ServerTls {
  readonly cert: string
  readonly key: string
  readonly passphrase: string | undefined
  /** Of the authorities that clients' certificates must be signed by; `undefined`: clients need none. */
  readonly clientCa: string | undefined
}

/** The texts of `web.tls`. */
export type SiteTls = Pick<ServerTls, 'cert' | 'key' | 'passphrase'> & {
  /** Of `web.tls.ca`. */
  readonly ca: string | undefined
}

export interface ServeAddress {
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  /** The settings that they come from, for errors. Default `web.host` and `web.port`. */
  readonly settings?: { readonly host: string; readonly port: string }
}

export interface ServeOptions {
  /**
   * Answers a request; calls overlap. Rejects never, as far as it can help it: the server then answers 500 with
   * `{ "error": … }`. `request.signal` aborts when the client is gone. A body that nobody reads must not keep the
   * connection from being used again or closed.
   *
   * `peer` is the address at the other end of the connection, a proxy's perhaps; without it nobody counts as local.
   */
  readonly fetch: (request: Request, peer?: string) => Promise<Response>
  readonly address: ServeAddress
  readonly limits: WebServerLimits
  /** Serve over https; left out, http. */
  readonly tls?: ServerTls | undefined
  readonly clock: Pick<Clock, 'schedule'>
  /** Told of what went wrong with a connection or an answer and can be told to no client. Must not throw. */
  readonly onError: (error: Error) => void
}

/** A server that listens. */
export interface WebServer {
  readonly host: string
  /** As bound. */
  readonly port: number
  readonly scheme: 'http' | 'https'
  /** For connections from now on. Called only where `tls` was given. Throws what is wrong with it, and keeps the old one then. */
  renewTls(tls: ServerTls): void
  /**
   * Takes no more connections at once; finishes requests in flight, for `graceMs` at most, then cuts what is left.
   * Connections without a request are closed at once, the others after their answer. Never rejects; calls may overlap
   * and repeat: the shortest grace counts.
   */
  close(graceMs: number): Promise<void>
}

/**
 * A web server over web-standard requests and responses. Called by `web`, once per worker; holds no state of its own.
 *
 * What is malformed (request line, headers, `Host`, encoding of the target) is answered with a 4xx and reaches no `fetch`.
 */
export interface WebDriver {
  readonly name: string
  /**
   * Resolves when it listens. Rejects with `PORT_IN_USE`, or `SETTING_INVALID` when host or port cannot be bound, or
   * certificate and key are of no use.
   */
  serve(options: ServeOptions): Promise<WebServer>
}
