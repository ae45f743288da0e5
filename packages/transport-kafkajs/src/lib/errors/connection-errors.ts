import { MillraceError, toError } from '@millrace/core'

const CERTIFICATE_CODES =
  /^(CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|ERR_TLS_|ERR_SSL_|EPROTO$|HOSTNAME_MISMATCH)/

/**
 * An error of kafkajs or of a socket as the error the driver throws: `AUTHENTICATION_FAILED` when credentials or
 * certificates were refused, else `BROKER_UNREACHABLE`, which the driver's loops take for a reason to try again.
 */
export function connectionError(thrown: unknown, address: string): MillraceError {
  if (thrown instanceof MillraceError) return thrown
  const error = toError(thrown)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const authentication =
    error.name === 'KafkaJSSASLAuthenticationError' ||
    CERTIFICATE_CODES.test(code) ||
    ('type' in error && (error.type === 'SASL_AUTHENTICATION_FAILED' || error.type === 'UNSUPPORTED_SASL_MECHANISM'))
  if (authentication)
    return new MillraceError('AUTHENTICATION_FAILED', `${address} refused the connection: ${error.message}.`, {
      cause: error,
    })
  return new MillraceError('BROKER_UNREACHABLE', `${address}: ${error.message === '' ? code : error.message}.`, {
    cause: error,
  })
}
