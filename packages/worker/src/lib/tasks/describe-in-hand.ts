import { partitionKey } from '@millrace/core'
import type { TaskRuntime } from './task-runtime.ts'

/** Events in the hands of agents, for messages. */
export function describeInHand(tasks: Iterable<TaskRuntime>): readonly string[] {
  return [...tasks].flatMap((task) =>
    task.inHand === 0
      ? []
      : task.sources.flatMap(({ source, cursors }) =>
          cursors.flatMap(({ tracker, place }) =>
            tracker.unfinished(5).map((offset) => `${partitionKey(source)}@${offset} of agent ${place.spec.agent}`),
          ),
        ),
  )
}
