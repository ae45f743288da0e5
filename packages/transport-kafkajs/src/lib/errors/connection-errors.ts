import { MillraceError, toError } from '@millrace/core'

/** Why TLS fails, by the error codes of Node and OpenSSL, with the setting to check. The first match counts. */
const TLS_TROUBLE: readonly (readonly [code: RegExp, what: string])[] = [
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH/,
    'its certificate has other names; connect by one of them, or set kafka.ssl.servername to one',
  ],
  [/^CERT_(HAS_EXPIRED|NOT_YET_VALID)/, 'its certificate is not valid today'],
  [
    /SELF_SIGNED|^UNABLE_TO_|^CERT_/,
    'its certificate is signed by no authority in kafka.ssl.ca (if that is not given, by none that Node trusts)',
  ],
  [
    /^ERR_SSL_.*(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN|HANDSHAKE_FAILURE)/,
    'it requires a client certificate that it trusts: kafka.ssl.cert and kafka.ssl.key',
  ],
  [/^ERR_SSL_|^ERR_TLS_|^ERR_OSSL_|^EPROTO$/, 'TLS failed; see kafka.ssl, and whether that port speaks TLS at all'],
]

/**
 * Converts an error of kafkajs or of a socket: to `AUTHENTICATION_FAILED` if credentials or certificates were refused,
 * otherwise to `BROKER_UNREACHABLE`, after which the driver's loops retry.
 */
export function connectionError(thrown: unknown, address: string): MillraceError {
  if (thrown instanceof MillraceError) return thrown
  const error = toError(thrown)
  const code = codeOf(error)
  const said = error.message === '' ? code : error.message
  const tls = TLS_TROUBLE.find(([codes]) => codes.test(code))
  if (tls !== undefined)
    return new MillraceError('AUTHENTICATION_FAILED', `${address}: ${tls[1]}. ${said}.`, { cause: error })
  const type = 'type' in error ? error.type : undefined
  const isLogin =
    error.name === 'KafkaJSSASLAuthenticationError' ||
    type === 'SASL_AUTHENTICATION_FAILED' ||
    type === 'UNSUPPORTED_SASL_MECHANISM'
  if (isLogin)
    return new MillraceError('AUTHENTICATION_FAILED', `${address} refused the login (kafka.sasl): ${said}.`, {
      cause: error,
    })
  return new MillraceError('BROKER_UNREACHABLE', `${address}: ${said}.`, { cause: error })
}

/**
 * The same for a connection that was being opened: if it ends before it could be used, the address may be of the wrong
 * kind.
 */
export function openingError(thrown: unknown, address: string, tls: boolean): MillraceError {
  const error = connectionError(thrown, address)
  if (error.code !== 'BROKER_UNREACHABLE' || !wasClosedByPeer(error.cause)) return error
  const advice = tls
    ? 'If that port does not speak TLS, turn kafka.ssl off.'
    : 'If that port wants TLS, turn kafka.ssl on.'
  return new MillraceError('BROKER_UNREACHABLE', `${error.detail} ${advice}`, { cause: error.cause })
}

/** True if a peer accepted the connection and closed it; false if none answered, or it stays silent. */
function wasClosedByPeer(error: unknown): boolean {
  const isSilent = error instanceof Error && error.name === 'KafkaJSRequestTimeoutError'
  return !isSilent && !/^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/.test(codeOf(error))
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : ''
}
