import { MillraceError, toError, withTimeout, type Clock } from '@millrace/core'
import type { Mechanism } from 'kafkajs'

export interface OauthBearerOptions {
  /** Gives a token that is good for some time. */
  readonly token: () => Promise<string>
  /** Longest wait for it. */
  readonly limitMs: number
  readonly clock: Pick<Clock, 'schedule'>
}

/**
 * SASL OAUTHBEARER (RFC 7628) in place of kafkajs's own: that takes the broker's refusal, which comes as an answer
 * without an error code, for a success, and the next request is then answered with something that is no answer to it.
 *
 * A token is asked for with each connection, and on each connection again shortly before the last one ends.
 */
export function oauthBearer(options: OauthBearerOptions): Mechanism {
  return {
    mechanism: 'oauthbearer',
    authenticationProvider: ({ host, port, saslAuthenticate }) => ({
      authenticate: async () => {
        const token = await freshToken(options)
        const refusal = await saslAuthenticate({
          request: { encode: () => withLength(Buffer.from(`n,,\u0001auth=Bearer ${token}\u0001\u0001`)) },
          response: { decode: (answer) => answer, parse: (answer) => answer.subarray(4).toString('utf8') },
        })
        if (typeof refusal === 'string' && refusal !== '')
          throw new MillraceError(
            'AUTHENTICATION_FAILED',
            `${host}:${port} refused the token (kafka.sasl.token): ${refusal}.`,
          )
      },
    }),
  }
}

async function freshToken({ token, limitMs, clock }: OauthBearerOptions): Promise<string> {
  const failed = (how: string, cause?: unknown): MillraceError =>
    new MillraceError('AUTHENTICATION_FAILED', `The token provider (kafka.sasl.token) ${how}.`, { cause })
  // A provider that is no async function may throw as well.
  const given = (async () => token())().catch((error: unknown) => {
    throw failed(`failed: ${toError(error).message}`, error)
  })
  return withTimeout(given, limitMs, clock, () => failed(`gave no token within ${limitMs} ms`))
}

/** As bytes are in Kafka's protocol. */
function withLength(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
