import { readFile } from 'node:fs/promises'
import { createSecureContext, rootCertificates } from 'node:tls'
import type { Logger, PemSource, ResolvedSettings } from '@millrace/core'
import { certificateFault, checkSiteTls, type ServerTls } from '@millrace/core/http'

/** `web.tls`. */
export type TlsSettings = ResolvedSettings['web']['tls']

/** What is shown to another worker, and trusted of it; all in PEM. */
export interface ClientTls {
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
  readonly ca?: string[]
}

/** The files of `web.tls`, as they were last read: what this worker shows and trusts, as a server and to other workers. */
export class Certificates {
  /** Asked for when it is used: settings may still change when a site is made. */
  readonly #settings: () => TlsSettings
  #read: ReadonlyMap<string, string> = new Map()

  constructor(settings: () => TlsSettings) {
    this.#settings = settings
  }

  /** What clients are shown, and asked for; `undefined` where the site is served over http. */
  server(): ServerTls | undefined {
    return this.#serverWith(this.#read)
  }

  /** For connections to other workers; empty without `web.tls`. The own certificate is shown to whoever asks for one. */
  client(): ClientTls {
    const { cert, key, passphrase, ca } = this.#settings()
    return {
      ...(cert === undefined || key === undefined ? {} : { cert: this.#text(cert), key: this.#text(key) }),
      ...(passphrase === undefined ? {} : { passphrase }),
      ...(ca === undefined ? {} : { ca: [...rootCertificates, this.#text(ca)] }),
    }
  }

  /** Throws `SETTING_INVALID` when what is shown and trusted cannot be used, naming the setting. */
  check(): void {
    this.#check(this.#read)
  }

  /** Why clients, and other workers, do not trust what is shown at an address (`https://host:port`); as `certificateFault`. */
  fault(nowMs: number, address?: string): string | undefined {
    const tls = this.server()
    if (tls === undefined) return undefined
    const host = address !== undefined && URL.canParse(address) ? new URL(address).hostname : undefined
    return certificateFault(tls.cert, nowMs, this.servername ?? host?.replace(/^\[(.*)\]$/, '$1'))
  }

  /** Which name the certificate of another worker must have, if not that of its address. */
  get servername(): string | undefined {
    return this.#settings().servername
  }

  /** Reads the files again. Rejects when they cannot be read, or do not fit together: then the old ones stay. */
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
