import {
  encodeUtf8,
  errorText,
  keyFromText,
  MillraceError,
  type CommandLineMessage,
  type SendRequest,
} from '@millrace/core'
import type { AnyTopic } from '@millrace/streams'

/** A message typed on the command line as the record that its topic wants. Throws `KEY_INVALID`, `ENCODE_FAILED`. */
export function textMessage(
  topic: AnyTopic | string,
  { key, value, headers, partition }: CommandLineMessage,
  timestamp: number,
): SendRequest {
  const rawHeaders = Object.entries(headers).map(([name, text]) => [name, encodeUtf8(text)] as const)
  const rest = { headers: rawHeaders, timestamp, partition }
  if (typeof topic === 'string') {
    return {
      topic,
      key: key === undefined ? null : encodeUtf8(key),
      value: value === null ? null : encodeUtf8(value),
      ...rest,
    }
  }
  const where = `topic "${topic.name}"`
  return {
    topic: topic.name,
    key: key === undefined ? null : keyFromText(topic.key, key, where),
    value: value === null ? null : encodeValue(topic, value, where),
    ...rest,
  }
}

/** Decoded as the topic's own records are, so that a schema checks what was typed; sent as typed. */
function encodeValue(topic: AnyTopic, text: string, where: string): Buffer {
  const bytes = encodeUtf8(text)
  try {
    topic.value.decode(bytes)
    return bytes
  } catch (thrown) {
    throw new MillraceError(
      'ENCODE_FAILED',
      `${JSON.stringify(text)} is no ${topic.value.name} value for ${where}: ${errorText(thrown)}`,
      { cause: thrown },
    )
  }
}
