import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { SiteTls } from '../../contracts/web-driver.ts'
import { MillraceError, toError } from '../errors/millrace-error.ts'

/** Throws `SETTING_INVALID`, with the setting of `web.tls` that is unusable and why; OpenSSL names none. */
export function checkSiteTls({ cert, key, passphrase, ca }: SiteTls): void {
  const certificate = certificateOf(cert, 'web.tls.cert')
  if (!certificate.checkPrivateKey(privateKeyOf(key, passphrase)))
    throw new MillraceError(
      'SETTING_INVALID',
      'Setting web.tls.key is the private key of another certificate than web.tls.cert, whose first certificate must be that of the site.',
    )
  if (ca !== undefined) certificateOf(ca, 'web.tls.ca')
}

/**
 * Why clients do not trust a usable certificate, as the end of a sentence; `undefined` if nothing is wrong with it.
 *
 * @param cert PEM; the first one counts
 * @param name host name or address that clients reach it at; left out, any
 */
export function certificateFault(cert: string, nowMs: number, name?: string): string | undefined {
  const certificate = new X509Certificate(cert)
  const { validFrom, validTo, subjectAltName } = certificate
  if (nowMs > Date.parse(validTo)) return `has expired: it was valid until ${validTo}`
  if (nowMs < Date.parse(validFrom)) return `is not valid before ${validFrom}`
  if (name === undefined || isFor(certificate, name)) return undefined
  return `is not for ${name}, but for ${subjectAltName ?? 'no name at all'}`
}

function isFor(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined
}

function certificateOf(pem: string, setting: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (thrown) {
    throw invalid(`Setting ${setting} holds no certificate: ${toError(thrown).message}.`, thrown)
  }
}

function privateKeyOf(key: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) })
  } catch (thrown) {
    if (!key.includes('PRIVATE KEY-----')) throw invalid('Setting web.tls.key holds no private key.', thrown)
    if (!key.includes('ENCRYPTED')) throw invalid(`Setting web.tls.key is damaged: ${toError(thrown).message}.`, thrown)
    throw invalid(
      passphrase === undefined
        ? 'Setting web.tls.passphrase is missing: the private key in web.tls.key is encrypted.'
        : 'Setting web.tls.passphrase does not open the private key in web.tls.key.',
      thrown,
    )
  }
}

function invalid(detail: string, cause: unknown): MillraceError {
  return new MillraceError('SETTING_INVALID', detail, { cause })
}
