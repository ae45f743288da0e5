/** Records that went to one topic. */
export interface TopicTally {
  readonly topic: string
  records: number
}

/** Plain fields, counted up on the hot path and read for statistics. */
export class SubscriptionCounters {
  received = 0
  processed = 0
  failed = 0
  retried = 0
  active = 0
  /** The topics to which its events have sent. */
  readonly sentTo: TopicTally[] = []
  #lastTopic: TopicTally = { topic: '', records: 0 }

  /** Counts a record of an event, which nearly always goes to the topic of the one before. */
  sent(topic: string): void {
    const last = this.#lastTopic
    if (last.topic === topic) last.records++
    else this.#sentElsewhere(topic)
  }

  #sentElsewhere(topic: string): void {
    let tally = this.sentTo.find((each) => each.topic === topic)
    if (tally === undefined) this.sentTo.push((tally = { topic, records: 0 }))
    tally.records++
    this.#lastTopic = tally
  }
}
