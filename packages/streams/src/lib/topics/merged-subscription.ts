/** Id of the subscription by which a handler reads a further topic, merged into its stream. */
export function mergedSubscription(agent: string, topic: string): string {
  return `${agent}-merge-${topic}`
}
