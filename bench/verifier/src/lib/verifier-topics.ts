export interface TopicPlace {
  readonly name: string
  readonly partitions: number
}

export interface VerifierTopics {
  /** Keyed input; two agents read each. */
  readonly a: TopicPlace
  readonly b: TopicPlace
  /** Keyed input with times out of order, of what goes by event time; both have the same keys. */
  readonly c: TopicPlace
  readonly d: TopicPlace
  /** Windows that closed, pairs, and timers that went off. */
  readonly timed: TopicPlace
  /** Events that came too late for their window. */
  readonly late: TopicPlace
  /** Each event of `c` under its team. */
  readonly teamRepartition: TopicPlace
  /** What `count` says about each event of `a`. */
  readonly counted: TopicPlace
  /** Each event of `a`, changed; key, headers and timestamp kept. */
  readonly out: TopicPlace
  /** Each event of `a` again, in one of these, in the partition that its number gives. */
  readonly routes: readonly TopicPlace[]
  /** Each event of `b` under its group, by way of which it comes to `grouped`. */
  readonly repartition: TopicPlace
  readonly grouped: TopicPlace
  readonly countsLog: TopicPlace
  readonly groupsLog: TopicPlace
  readonly talliesLog: TopicPlace
}

/** Partition counts differ on purpose: what a task sends goes to other partition numbers than its own. */
export function verifierTopics(id: string): VerifierTopics {
  return {
    a: { name: `${id}-a`, partitions: 8 },
    b: { name: `${id}-b`, partitions: 4 },
    c: { name: `${id}-c`, partitions: 3 },
    d: { name: `${id}-d`, partitions: 3 },
    timed: { name: `${id}-timed`, partitions: 4 },
    late: { name: `${id}-late`, partitions: 2 },
    teamRepartition: { name: `${id}-teams-by-team-repartition`, partitions: 3 },
    counted: { name: `${id}-counted`, partitions: 6 },
    out: { name: `${id}-out`, partitions: 12 },
    routes: [8, 5, 3].map((partitions, i) => ({ name: `${id}-route-${i}`, partitions })),
    repartition: { name: `${id}-group-by-group-repartition`, partitions: 4 },
    grouped: { name: `${id}-grouped`, partitions: 3 },
    countsLog: { name: `${id}-counts-changelog`, partitions: 8 },
    groupsLog: { name: `${id}-groups-changelog`, partitions: 4 },
    talliesLog: { name: `${id}-tallies-changelog`, partitions: 4 },
  }
}

/** Those whose offsets the group commits. */
export function sourceTopics({ a, b, c, d, repartition, teamRepartition }: VerifierTopics): readonly TopicPlace[] {
  return [a, b, c, d, repartition, teamRepartition]
}
