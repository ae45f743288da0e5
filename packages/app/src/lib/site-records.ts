import {
  errorText,
  isMillraceError,
  keyFromText,
  MillraceError,
  type Clock,
  type RecordMetadata,
  type RecordsRequest,
  type SendRequest,
  type ShownRecord,
  type Transport,
} from '@millrace/core'
import type { AnyTopic } from '@millrace/streams'
import type { TopicRecords } from '@millrace/web'
import type { Definitions } from './definitions.ts'
import { topicsOf } from './describe-app.ts'
import { readRecords } from './read-records.ts'

/** Connections of an app that are no worker's. */
export interface Connections {
  readonly surroundings: { readonly clock: Clock }
  transport(): Promise<Transport>
  /** Once the topics that the app declares are there. */
  sender(): Promise<{ send(request: SendRequest): Promise<RecordMetadata> }>
}

/** Records of the app's topics, for its page. */
export function siteRecords(definitions: Definitions, connections: Connections): TopicRecords {
  return {
    last: (topic, { last, signal }) =>
      openRecords(connections, definitions, topic, { from: { last }, follow: false, signal }),
    async send(name, { key, value }) {
      const topic = topicsOf(definitions).find((each) => each.name === name)
      if (topic === undefined) throw new MillraceError('TOPIC_MISSING', `The app declares no topic "${name}".`)
      const request = {
        topic: name,
        key: key === undefined ? null : keyFromText(topic.key, key, `topic "${name}"`),
        value: value === null ? null : encoded(topic, value),
        headers: [],
        timestamp: connections.surroundings.clock.now(),
        partition: undefined,
      }
      return (await connections.sender()).send(request)
    },
  }
}

/** Records of a topic over a connection of the app's. Whoever stops iterating closes what was opened for it. */
export async function* openRecords(
  connections: Pick<Connections, 'transport' | 'surroundings'>,
  definitions: Definitions,
  topic: string,
  request: RecordsRequest,
): AsyncGenerator<ShownRecord, void, undefined> {
  const transport = await connections.transport()
  const admin = transport.admin()
  try {
    yield* readRecords({ admin, transport, clock: connections.surroundings.clock, definitions }, topic, request)
  } finally {
    await admin.close()
  }
}

/** JSON has no bytes: text stands for them. */
function encoded(topic: AnyTopic, value: unknown): Buffer {
  const given = topic.value.name === 'bytes' && typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  try {
    return topic.value.encode(given as never)
  } catch (thrown) {
    if (isMillraceError(thrown)) throw thrown
    throw new MillraceError('ENCODE_FAILED', `This is no ${topic.value.name} value: ${errorText(thrown)}`, {
      cause: thrown,
    })
  }
}
