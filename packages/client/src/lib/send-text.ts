import {
  didYouMean,
  encodeUtf8,
  errorText,
  isMillraceError,
  keyFromText,
  MillraceError,
  type RecordMetadata,
} from '@millrace/core'
import type { CommandLineMessage } from '@millrace/core/operations'
import type { SendRequest } from '@millrace/worker'
import type { ClientApp, Connection, DeclaredApp, DeclaredTopic } from './declared-app.ts'
import { topicMissing } from './read-records.ts'

/**
 * Sends typed text to a topic, or to `@` and an agent. Throws `TOPIC_MISSING`, `KEY_INVALID`, `ENCODE_FAILED`;
 * `COMMAND_USAGE` for an agent that does not exist or reads a channel.
 */
export async function sendText(
  connection: Connection,
  { target, ...message }: CommandLineMessage & { readonly target: string },
  send: (request: SendRequest) => Promise<RecordMetadata>,
): Promise<RecordMetadata> {
  const topic = topicOf(target, connection.app.declared)
  try {
    return await send(textRequest(topic, message, connection.client.clock.now()))
  } catch (error) {
    if (typeof topic === 'string' && isMillraceError(error, 'TOPIC_MISSING'))
      throw await topicMissing(connection, topic)
    throw error
  }
}

/** The record with a key typed as text and a value as for `topic.send`. Throws as `sendText`. */
export function valueRequest(
  { declared, surroundings: { clock } }: ClientApp,
  name: string,
  { key, value }: { readonly key: string | undefined; readonly value: unknown },
): SendRequest {
  const topic = declared.topics().find((each) => each.name === name)
  if (topic === undefined) throw new MillraceError('TOPIC_MISSING', `The app declares no topic "${name}".`)
  return {
    topic: name,
    key: key === undefined ? null : keyFromText(topic.key, key, `topic "${name}"`),
    value: value === null ? null : encodeValue(topic, value),
    headers: [],
    timestamp: clock.now(),
    partition: undefined,
  }
}

/** A declared topic, the topic of an agent, or the plain name of a topic that the app does not declare. */
function topicOf(target: string, declared: DeclaredApp): DeclaredTopic | string {
  if (!target.startsWith('@')) return declared.topics().find(({ name }) => name === target) ?? target
  const name = target.slice(1)
  const agents = declared.agents()
  const agent = agents.find((each) => each.name === name)
  if (agent === undefined) {
    const names = agents.map((each) => each.name)
    throw new MillraceError('COMMAND_USAGE', `There is no agent "${name}".${didYouMean(name, names)}`)
  }
  if (agent.inbox === undefined)
    throw new MillraceError('COMMAND_USAGE', `Agent "${name}" reads a channel, which lives inside a worker.`)
  return agent.inbox
}

function textRequest(
  topic: DeclaredTopic | string,
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
    value: value === null ? null : encodeText(topic, value, where),
    ...rest,
  }
}

/** Decoded like the topic's own records, so that a schema checks the typed text, which is then sent unchanged. */
function encodeText(topic: DeclaredTopic, text: string, where: string): Buffer {
  const bytes = encodeUtf8(text)
  try {
    if (topic.value.encodeText !== undefined) return topic.value.encodeText(text)
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

/** JSON has no bytes, so text is used for them. */
function encodeValue(topic: DeclaredTopic, value: unknown): Buffer {
  const given = topic.value.name === 'bytes' && typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  try {
    // The codec checks values that come from outside the type system.
    return topic.value.encode(given as never)
  } catch (thrown) {
    if (isMillraceError(thrown)) throw thrown
    const cause = errorText(thrown)
    throw new MillraceError('ENCODE_FAILED', `This is no ${topic.value.name} value: ${cause}`, { cause: thrown })
  }
}
