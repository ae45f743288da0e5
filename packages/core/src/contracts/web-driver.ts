import type { Clock } from './clock.ts'

/** Limits for the clients of a server. */
export interface WebServerLimits {
  /** Request line and headers together; a larger request is answered with 431. */
  readonly headerBytes: number
  /**
   * A connection that waits for its client (with an unfinished request, an answer that is not read, or none) is closed
   * after this time without a byte in either direction.
   */
  readonly idleMs: number
  /**
   * The most connections at the same time. For a further one, the connection that was idle for longest is closed, or
   * otherwise one whose client does not read its answer; if all are busy, the new one. So idle clients keep nobody out.
   */
  readonly connections: number
}

/** What a server presents to its clients over TLS, and requires of them; all in PEM. */
export interface ServerTls {
  readonly cert: string
  readonly key: string
  readonly passphrase: string | undefined
  /** Certificates of the authorities that must have signed clients' certificates; `undefined`: clients need none. */
  readonly clientCa: string | undefined
}

/** The texts of `web.tls`. */
export type SiteTls = Pick<ServerTls, 'cert' | 'key' | 'passphrase'> & {
  /** The text of `web.tls.ca`. */
  readonly ca: string | undefined
}

export interface ServeAddress {
  readonly host: string
  /** 0 uses any free port. */
  readonly port: number
  /** Not shared with other processes of the app on this machine (`processes`). Default false. */
  readonly exclusive?: boolean
  /** The settings that host and port come from, for errors. Default `web.host` and `web.port`. */
  readonly settings?: { readonly host: string; readonly port: string }
}

export interface ServeOptions {
  /**
   * Answers a request; calls overlap. Should never reject: if it does, the server answers 500 with `{ "error": … }`.
   * `request.signal` aborts when the client is gone. An unread body must not keep the connection from being reused or
   * closed.
   *
   * `peer` is the address at the other end of the connection, perhaps a proxy's; without it no client counts as local.
   */
  readonly fetch: (request: Request, peer?: string) => Promise<Response>
  readonly address: ServeAddress
  readonly limits: WebServerLimits
  /** Serve over https; left out, http. */
  readonly tls?: ServerTls | undefined
  readonly clock: Pick<Clock, 'schedule'>
  /** Called for a failure of a connection or an answer that cannot be reported to a client. Must not throw. */
  readonly onError: (error: Error) => void
}

/** A server that listens. */
export interface WebServer {
  readonly host: string
  /** The port in use. */
  readonly port: number
  readonly scheme: 'http' | 'https'
  /**
   * Replaces the certificate for new connections. Called only if `tls` was given. Throws if the new one is unusable,
   * and keeps the old one then.
   */
  renewTls(tls: ServerTls): void
  /**
   * Accepts no more connections at once; finishes requests in flight, for at most `graceMs`, then closes what is left.
   * Connections without a request are closed at once, the others after their answer. Never rejects. Calls may overlap
   * and repeat: the shortest grace applies.
   */
  close(graceMs: number): Promise<void>
}

/**
 * A web server over web-standard requests and responses. Called by `web`, once per worker; holds no state of its own.
 *
 * A malformed request (request line, headers, `Host`, encoding of the target) is answered with a 4xx and does not reach
 * `fetch`.
 */
export interface WebDriver {
  readonly name: string
  /**
   * Resolves when it listens. Rejects with `PORT_IN_USE`, or with `SETTING_INVALID` if host, port, certificate or key
   * are unusable.
   */
  serve(options: ServeOptions): Promise<WebServer>
}
