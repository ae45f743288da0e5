import { readFile } from 'node:fs/promises'
import { createSecureContext, rootCertificates } from 'node:tls'
import type { Logger, PemSource, ResolvedSettings } from '@millrace/core'
import { certificateFault, checkSiteTls, type ServerTls } from '@millrace/core/http'

/** The setting `web.tls`. */
export type TlsSettings = ResolvedSettings['web']['tls']

/** The certificate shown to another worker and the authorities trusted; all in PEM. */
export interface ClientTls {
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
  readonly ca?: string[]
}

/**
 * The files of `web.tls` as last read: what this worker shows and trusts, as a server and as a client of other workers.
 */
export class Certificates {
  /** Read on use, because settings may still change after the site is created. */
  readonly #settings: () => TlsSettings
  #read: ReadonlyMap<string, string> = new Map()

  constructor(settings: () => TlsSettings) {
    this.#settings = settings
  }

  /** The certificate shown to clients and the authorities asked for; `undefined` if the site uses http. */
  server(): ServerTls | undefined {
    return this.#serverWith(this.#read)
  }

  /**
   * Options for connections to other workers; empty without `web.tls`. The worker's own certificate is shown when asked
   * for.
   */
  client(): ClientTls {
    const { cert, key, passphrase, ca } = this.#settings()
    return {
      ...(cert === undefined || key === undefined ? {} : { cert: this.#text(cert), key: this.#text(key) }),
      ...(passphrase === undefined ? {} : { passphrase }),
      ...(ca === undefined ? {} : { ca: [...rootCertificates, this.#text(ca)] }),
    }
  }

  /** Throws `SETTING_INVALID`, naming the setting, if the files cannot be used. */
  check(): void {
    this.#check(this.#read)
  }

  /**
   * Why clients and other workers do not trust the certificate shown at an address (`https://host:port`); as
   * `certificateFault`.
   */
  fault(nowMs: number, address?: string): string | undefined {
    const tls = this.server()
    if (tls === undefined) return undefined
    const host = address !== undefined && URL.canParse(address) ? new URL(address).hostname : undefined
    return certificateFault(tls.cert, nowMs, this.servername ?? host?.replace(/^\[(.*)\]$/, '$1'))
  }

  /** The name that another worker's certificate must have, if not the name in its address. */
  get servername(): string | undefined {
    return this.#settings().servername
  }

  /** Reads the files again. Rejects and keeps the old files if the new ones cannot be read or do not match. */
  async refresh(): Promise<void> {
    const { cert, key, ca } = this.#settings()
    const read = new Map<string, string>()
    for (const source of [cert, key, ca])
      if (source?.file !== undefined) read.set(source.file, await readFile(source.file, 'utf8'))
    this.#check(read)
    const server = this.#serverWith(read)
    if (server !== undefined) {
      const { passphrase, clientCa, ...pair } = server
      createSecureContext({
        ...pair,
        ...(passphrase === undefined ? {} : { passphrase }),
        ...(clientCa === undefined ? {} : { ca: clientCa }),
      })
    }
    this.#read = read
  }

  #check(read: ReadonlyMap<string, string>): void {
    const server = this.#serverWith(read)
    const { ca } = this.#settings()
    if (server !== undefined) checkSiteTls({ ...server, ca: ca && textIn(read, ca) })
  }

  #serverWith(read: ReadonlyMap<string, string>): ServerTls | undefined {
    const { cert, key, passphrase, ca, clientCertificates } = this.#settings()
    if (cert === undefined || key === undefined) return undefined
    const clientCa = clientCertificates && ca !== undefined ? textIn(read, ca) : undefined
    return { cert: textIn(read, cert), key: textIn(read, key), passphrase, clientCa }
  }

  #text(source: PemSource): string {
    return textIn(this.#read, source)
  }
}

export function warnOfCertificate(log: Logger, fault: string): void {
  log.warn({ reason: `web.tls.cert ${fault}` }, 'Clients and other workers do not trust the certificate of the site.')
}

function textIn(read: ReadonlyMap<string, string>, { file, text }: PemSource): string {
  return (file === undefined ? undefined : read.get(file)) ?? text
}
