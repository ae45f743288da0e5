/** Headers of requests and replies. */
export const replyHeaders = {
  topic: 'millrace-reply-topic',
  partition: 'millrace-reply-partition',
  correlationId: 'millrace-correlation-id',
  /** The agent that is asked: others that read the same topic do not answer. */
  agent: 'millrace-reply-agent',
  /** On error replies only; the value is then the message. */
  error: 'millrace-reply-error',
} as const
