import { APIS, type WireRequest } from '../wire-request.ts'

export interface DescribedTopic {
  readonly topic: string
  readonly errorCode: number
  /** Settings as they hold, by Kafka's names; `null` where the broker does not tell. */
  readonly config: ReadonlyMap<string, string | null>
}

const TOPIC = 2

/** Settings of topics, those named only. Any broker knows them all. */
export function describeConfigsRequest(
  topics: readonly string[],
  names: readonly string[],
): WireRequest<readonly DescribedTopic[]> {
  return {
    api: APIS.describeConfigs,
    encode: (writer) => {
      writer.array(topics, (topic) => {
        writer.int8(TOPIC).string(topic)
        writer.array(names, (name) => writer.string(name))
      })
      // Without synonyms.
      writer.boolean(false)
    },
    decode: (reader) => {
      reader.int32()
      return reader.array(() => {
        const errorCode = reader.int16()
        reader.string()
        reader.int8()
        const topic = reader.text()
        const config = reader.array(() => {
          const name = reader.text()
          const value = reader.string()
          // Read-only, source, sensitive.
          reader.boolean()
          reader.int8()
          reader.boolean()
          reader.array(() => {
            reader.text()
            reader.string()
            reader.int8()
          })
          return [name, value] as const
        })
        return { topic, errorCode, config: new Map(config) }
      })
    },
  }
}
