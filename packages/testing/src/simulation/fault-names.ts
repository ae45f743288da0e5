/**
 * What can go wrong around an app: the names that the simulation, the verifier and the tests under fire have for it, and what
 * each does. An app must survive every one of them; a *defect* is what is planted in the product to see that it is found.
 */
export const FAULTS = {
  // A worker.
  kills: 'a worker ends as by kill -9; the group hears of it when its session is over',
  stops: 'a worker stops cleanly, as by SIGTERM',
  freezes: 'a worker stands still as by SIGSTOP, and goes on when its session is over or nearly so',
  blocks: 'a handler keeps the event loop of its worker for longer than a session',
  deploys: 'the next release takes the place of this one, worker by worker',
  // The group.
  rebalances: 'a rebalance without a reason',
  silences: 'heartbeats of a worker get lost for about a session; the worker itself goes on',
  lags: 'a worker hears nothing of its group for a while, though it is heard of: it may miss a generation',
  evictions: 'the group goes on without a worker that still drains for a rebalance',
  intruders: 'a member whose data no worker has written stays in the group for a while',
  // Requests.
  lostAnswers: 'a request of a producer outside transactions is stored, its answer is lost, and it is sent again',
  tornSends:
    'a worker ends in the middle of a request: the broker has a part of it, of each partition the first records',
  commitErrors: 'the commit of a transaction ends in an error, committed or not',
  stalls: 'no coordinator answers a worker for a while',
  deafStops: 'a worker is stopped while no coordinator answers it',
  slow: 'an answer takes its time',
  disconnects: 'connections are cut in the middle of a request or of its answer',
  lateRequests: 'a request reaches the broker when the session of its sender is over',
  // The broker.
  outages: 'a broker ends as by kill -9 or stands still, and is back later',
  logLosses: 'a broker comes back without its last records',
  delays: 'a partition takes no records for a while, as below its min.insync.replicas',
  cuts: 'the oldest records of a partition are deleted, read or not',
  topicChanges: 'a topic is deleted, made again, or gets more partitions',
} as const

/** A name of `FAULTS`. */
export type FaultName = keyof typeof FAULTS
