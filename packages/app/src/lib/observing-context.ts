import {
  errorText,
  MillraceError,
  silentSensor,
  type ClientContext,
  type OpenPart,
  type TaskPart,
  type WorkerContext,
} from '@millrace/core'

/** What a table reader has opened of the one part that it looks at. */
export interface ObservedPart {
  readonly part: TaskPart | undefined
  readonly partitions: number
  readonly open: ReadonlyMap<number, OpenPart>
}

/** A worker that runs nothing: tables are read through it as through any other, from copies made for the purpose. */
export function observingContext(client: ClientContext, observed: ObservedPart, signal: AbortSignal): WorkerContext {
  const none: ReadonlyMap<number, OpenPart> = new Map()
  return {
    id: client.id,
    appId: client.appId,
    clock: client.clock,
    log: client.log,
    send: (request) => client.send(request),
    partitions: (topic) => client.partitions(topic),
    createTopics: (specs) => client.createTopics(specs),
    reader: (isolation) => client.reader(isolation),
    sensor: silentSensor,
    // Only committed rows are of interest to someone who looks from outside.
    exactlyOnce: true,
    signal,
    draining: signal,
    openPart: (part, partition) => (part === observed.part ? observed.open.get(partition) : undefined),
    openParts: (part) => (part === observed.part ? observed.open : none),
    partitionsOf: (part) => (part === observed.part ? observed.partitions : undefined),
    fail: (error) => {
      throw new MillraceError('WORKER_FAILED', errorText(error), { cause: error })
    },
  }
}
