import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A certificate and its key, as PEM. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

export interface Certificates {
  /** The authority that has signed `server` and `client`, as PEM. */
  readonly ca: string
  /** Another authority, which has signed nothing. */
  readonly otherCa: string
  /** For the name `localhost`, and for no address. */
  readonly server: Identity
  readonly client: Identity
  /** In Kafka's form: the key and certificate of the server, and the authority that signs clients. */
  readonly keyStore: string
  readonly trustStore: string
  remove(): Promise<void>
}

/** Makes an authority and the certificates that it signs with openssl, valid for two days. */
export async function makeCertificates(): Promise<Certificates> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-certificates-'))
  const path = (name: string): string => join(directory, name)
  const make = async (name: string, ...options: readonly string[]): Promise<Identity> => {
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const files = ['-keyout', path(`${name}.key`), '-out', path(`${name}.pem`)]
    await run('openssl', ['req', '-x509', ...curve, ...files, '-days', '2', '-subj', `/CN=${name}`, ...options])
    const [cert, key] = await Promise.all([
      readFile(path(`${name}.pem`), 'utf8'),
      readFile(path(`${name}.key`), 'utf8'),
    ])
    return { cert, key }
  }
  const [ca, otherCa] = await Promise.all([make('ca'), make('other')])
  const signed = ['-CA', path('ca.pem'), '-CAkey', path('ca.key')]
  const [server, client] = await Promise.all([
    make('server', ...signed, '-addext', 'subjectAltName=DNS:localhost'),
    make('client', ...signed),
  ])
  await writeFile(path('key-store.pem'), server.key + server.cert)
  return {
    ca: ca.cert,
    otherCa: otherCa.cert,
    server,
    client,
    keyStore: path('key-store.pem'),
    trustStore: path('ca.pem'),
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}
