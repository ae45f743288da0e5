import type { AppTopic } from '@millrace/core/operations'
import { isSeen, type Alter, type SeenTopic } from './check-retention.ts'
import { note, ok, wrong, type Finding } from './finding.ts'

/** Whether records survive the loss of a broker, and whether writes continue without one. */
export function checkReplicas(topics: readonly AppTopic[], brokers: number, alter: Alter): readonly Finding[] {
  const seen = topics.filter(isSeen)
  const findings = [
    ...each(seen, ({ settings: { minInSyncReplicas, replicas } }) => minInSyncReplicas > replicas).map(
      ({ name, settings: { minInSyncReplicas, replicas } }) =>
        wrong(
          'replicas',
          `Topic ${name} has min.insync.replicas=${minInSyncReplicas} and ${copies(replicas)}: nothing can be written to it.`,
          alter(name, 'min.insync.replicas', String(Math.max(replicas - 1, 1))),
        ),
    ),
    ...checkSingle(seen, brokers),
    ...listed(
      each(seen, ({ settings: { minInSyncReplicas, replicas } }) => replicas > 1 && minInSyncReplicas === replicas),
      (names) =>
        `Writing to ${names} stops when one broker is down: min.insync.replicas is as high as the number of copies.`,
      (name, { settings: { replicas } }) => alter(name, 'min.insync.replicas', String(replicas - 1)),
    ),
    ...listed(
      each(seen, ({ settings: { minInSyncReplicas, replicas } }) => replicas > 2 && minInSyncReplicas === 1),
      (names) => `Records of ${names} count as written when one copy of several has them, and go with its broker.`,
      (name) => alter(name, 'min.insync.replicas', '2'),
    ),
    ...listed(
      each(seen, ({ settings: { replicas } }) => replicas > brokers),
      (names) =>
        `${brokers === 1 ? 'One broker is' : `${brokers} brokers are`} up, fewer than ${names} ${names.includes(',') ? 'have' : 'has'} copies.`,
      () => 'See which broker is down.',
    ),
  ]
  if (findings.length > 0 || seen.length === 0 || brokers < 2) return findings
  return [ok('replicas', `Topics have enough copies on ${brokers} brokers.`)]
}

/** Topics with a single copy are lost with the broker that holds it. */
function checkSingle(topics: readonly SeenTopic[], brokers: number): readonly Finding[] {
  if (brokers < 2) return []
  const single = each(topics, ({ settings: { replicas } }) => replicas === 1)
  const own = single.filter(({ internal }) => internal).map(({ name }) => name)
  const others = single.filter(({ internal }) => !internal).map(({ name }) => name)
  const text = (names: readonly string[]): string =>
    `There is one copy of ${names.join(', ')} on ${brokers} brokers: when its broker is lost, so is what only it has.`
  const fix =
    'Add copies with kafka-reassign-partitions.sh; for topics made from now on set replicationFactor (--replication-factor), or default.replication.factor on the brokers.'
  return [
    ...(own.length === 0 ? [] : [brokers > 2 ? wrong('replicas', text(own), fix) : note('replicas', text(own), fix)]),
    ...(others.length === 0 ? [] : [note('replicas', text(others), fix)]),
  ]
}

function each(topics: readonly SeenTopic[], wanted: (topic: SeenTopic) => boolean): readonly SeenTopic[] {
  return topics.filter(wanted)
}

/** One note for all topics, because a cluster's defaults apply to all of them. */
function listed(
  topics: readonly SeenTopic[],
  detail: (names: string) => string,
  fix: (name: string, topic: SeenTopic) => string,
): readonly Finding[] {
  const [first] = topics
  if (first === undefined) return []
  const more = topics.length === 1 ? '' : ' and so on for the others'
  return [note('replicas', detail(topics.map(({ name }) => name).join(', ')), `${fix(first.name, first)}${more}`)]
}

function copies(replicas: number): string {
  return replicas === 1 ? '1 copy' : `${replicas} copies`
}
