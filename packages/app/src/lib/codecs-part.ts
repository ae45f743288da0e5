import type { TopicCodecs } from '@millrace/core'
import type { WorkerPart } from '@millrace/worker'

/** Opens the sources of codecs outside the process, such as a schema registry, before the worker has its first record. */
export function codecsPart(codecs: TopicCodecs): WorkerPart {
  let isOpen = false
  return {
    name: 'codecs',
    declare: () => {},
    start: async () => {
      isOpen = true
      await codecs.open()
    },
    ready: () => {},
    stop: async () => {
      if (!isOpen) return
      isOpen = false
      codecs.close()
    },
  }
}
