// Topics that Millrace makes for an app, by name. `__` is in no name that an app may give.

/** Where the replies go that agents are asked for. */
export function repliesTopic(appId: string): string {
  return `${appId}-replies`
}

/** Where the dead letters of an agent go. */
export function deadLetterTopic(appId: string, agent: string): string {
  return `${appId}-${agent}-dlq`
}

/** Where it is remembered which letters were replayed: one row for each partition of each dead letter topic. */
export function replayLedgerTopic(appId: string): string {
  return `${appId}-__replays`
}

/** Where `groupBy` sends events: the topic that is read by the subscription of this id. */
export function repartitionTopic(appId: string, subscriptionId: string): string {
  return `${appId}-${subscriptionId}-repartition`
}

/** Id of the subscription by which a handler reads a further topic, merged into its stream. */
export function mergedSubscription(agent: string, topic: string): string {
  return `${agent}-merge-${topic}`
}

/** The compacted topic in which leaders keep what ran, and all workers which jobs are paused. */
export function schedulerTopic(appId: string): string {
  return `${appId}-__scheduler`
}
