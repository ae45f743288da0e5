import { MillraceError, type ErrorCode } from '@millrace/core'

/**
 * What to do about an error code of Kafka:
 * - `retry`: temporary, or solved by refreshed metadata;
 * - `lost`: the group has gone on without this member;
 * - any other: a permanent error of Millrace.
 */
type Remedy = 'retry' | 'lost' | ErrorCode

interface KafkaError {
  readonly name: string
  readonly remedy: Remedy
}

/** Every code that the driver can meet, in one place. Codes that are absent are permanent. */
const KAFKA_ERRORS: ReadonlyMap<number, KafkaError> = new Map<number, KafkaError>([
  [-1, { name: 'UNKNOWN_SERVER_ERROR', remedy: 'retry' }],
  [1, { name: 'OFFSET_OUT_OF_RANGE', remedy: 'OFFSET_OUT_OF_RANGE' }],
  [2, { name: 'CORRUPT_MESSAGE', remedy: 'retry' }],
  [3, { name: 'UNKNOWN_TOPIC_OR_PARTITION', remedy: 'retry' }],
  [5, { name: 'LEADER_NOT_AVAILABLE', remedy: 'retry' }],
  [6, { name: 'NOT_LEADER_OR_FOLLOWER', remedy: 'retry' }],
  [7, { name: 'REQUEST_TIMED_OUT', remedy: 'retry' }],
  [8, { name: 'BROKER_NOT_AVAILABLE', remedy: 'retry' }],
  [9, { name: 'REPLICA_NOT_AVAILABLE', remedy: 'retry' }],
  [10, { name: 'MESSAGE_TOO_LARGE', remedy: 'RECORD_TOO_LARGE' }],
  [12, { name: 'OFFSET_METADATA_TOO_LARGE', remedy: 'RECORD_REFUSED' }],
  [13, { name: 'NETWORK_EXCEPTION', remedy: 'retry' }],
  [14, { name: 'COORDINATOR_LOAD_IN_PROGRESS', remedy: 'retry' }],
  [15, { name: 'COORDINATOR_NOT_AVAILABLE', remedy: 'retry' }],
  [16, { name: 'NOT_COORDINATOR', remedy: 'retry' }],
  [17, { name: 'INVALID_TOPIC_EXCEPTION', remedy: 'TOPIC_INVALID' }],
  [18, { name: 'RECORD_LIST_TOO_LARGE', remedy: 'RECORD_TOO_LARGE' }],
  [19, { name: 'NOT_ENOUGH_REPLICAS', remedy: 'retry' }],
  [20, { name: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', remedy: 'retry' }],
  [22, { name: 'ILLEGAL_GENERATION', remedy: 'lost' }],
  [23, { name: 'INCONSISTENT_GROUP_PROTOCOL', remedy: 'GROUP_INCONSISTENT' }],
  [24, { name: 'INVALID_GROUP_ID', remedy: 'SETTING_INVALID' }],
  [25, { name: 'UNKNOWN_MEMBER_ID', remedy: 'lost' }],
  [26, { name: 'INVALID_SESSION_TIMEOUT', remedy: 'SETTING_INVALID' }],
  [27, { name: 'REBALANCE_IN_PROGRESS', remedy: 'retry' }],
  [28, { name: 'INVALID_COMMIT_OFFSET_SIZE', remedy: 'RECORD_TOO_LARGE' }],
  [29, { name: 'TOPIC_AUTHORIZATION_FAILED', remedy: 'NOT_AUTHORIZED' }],
  [30, { name: 'GROUP_AUTHORIZATION_FAILED', remedy: 'NOT_AUTHORIZED' }],
  [31, { name: 'CLUSTER_AUTHORIZATION_FAILED', remedy: 'NOT_AUTHORIZED' }],
  [32, { name: 'INVALID_TIMESTAMP', remedy: 'RECORD_REFUSED' }],
  [33, { name: 'UNSUPPORTED_SASL_MECHANISM', remedy: 'AUTHENTICATION_FAILED' }],
  [34, { name: 'ILLEGAL_SASL_STATE', remedy: 'AUTHENTICATION_FAILED' }],
  [37, { name: 'INVALID_PARTITIONS', remedy: 'TOPIC_INVALID' }],
  [38, { name: 'INVALID_REPLICATION_FACTOR', remedy: 'TOPIC_INVALID' }],
  [39, { name: 'INVALID_REPLICA_ASSIGNMENT', remedy: 'TOPIC_INVALID' }],
  [40, { name: 'INVALID_CONFIG', remedy: 'TOPIC_INVALID' }],
  [41, { name: 'NOT_CONTROLLER', remedy: 'retry' }],
  [44, { name: 'POLICY_VIOLATION', remedy: 'TOPIC_INVALID' }],
  [45, { name: 'OUT_OF_ORDER_SEQUENCE_NUMBER', remedy: 'TRANSACTION_STATE' }],
  [46, { name: 'DUPLICATE_SEQUENCE_NUMBER', remedy: 'TRANSACTION_STATE' }],
  [47, { name: 'INVALID_PRODUCER_EPOCH', remedy: 'PRODUCER_FENCED' }],
  [48, { name: 'INVALID_TXN_STATE', remedy: 'TRANSACTION_STATE' }],
  [49, { name: 'INVALID_PRODUCER_ID_MAPPING', remedy: 'PRODUCER_FENCED' }],
  [50, { name: 'INVALID_TRANSACTION_TIMEOUT', remedy: 'SETTING_INVALID' }],
  [51, { name: 'CONCURRENT_TRANSACTIONS', remedy: 'retry' }],
  [53, { name: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED', remedy: 'NOT_AUTHORIZED' }],
  [56, { name: 'KAFKA_STORAGE_ERROR', remedy: 'retry' }],
  [58, { name: 'SASL_AUTHENTICATION_FAILED', remedy: 'AUTHENTICATION_FAILED' }],
  [59, { name: 'UNKNOWN_PRODUCER_ID', remedy: 'TRANSACTION_STATE' }],
  [68, { name: 'NON_EMPTY_GROUP', remedy: 'GROUP_NOT_EMPTY' }],
  [69, { name: 'GROUP_ID_NOT_FOUND', remedy: 'GROUP_INCONSISTENT' }],
  [72, { name: 'LISTENER_NOT_FOUND', remedy: 'retry' }],
  [74, { name: 'FENCED_LEADER_EPOCH', remedy: 'retry' }],
  [75, { name: 'UNKNOWN_LEADER_EPOCH', remedy: 'retry' }],
  [78, { name: 'OFFSET_NOT_AVAILABLE', remedy: 'retry' }],
  [81, { name: 'GROUP_MAX_SIZE_REACHED', remedy: 'GROUP_INCONSISTENT' }],
  [82, { name: 'FENCED_INSTANCE_ID', remedy: 'MEMBER_FENCED' }],
  [87, { name: 'INVALID_RECORD', remedy: 'RECORD_REFUSED' }],
  [88, { name: 'UNSTABLE_OFFSET_COMMIT', remedy: 'retry' }],
  [89, { name: 'THROTTLING_QUOTA_EXCEEDED', remedy: 'retry' }],
  [90, { name: 'PRODUCER_FENCED', remedy: 'PRODUCER_FENCED' }],
  [105, { name: 'TRANSACTIONAL_ID_NOT_FOUND', remedy: 'PRODUCER_FENCED' }],
])

/** Codes that the driver asks about by name. */
export const KafkaCode = {
  ok: 0,
  unknownServerError: -1,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  requestTimedOut: 7,
  messageTooLarge: 10,
  coordinatorLoadInProgress: 14,
  recordListTooLarge: 18,
  rebalanceInProgress: 27,
  clusterAuthorizationFailed: 31,
  topicAlreadyExists: 36,
  duplicateSequenceNumber: 46,
  concurrentTransactions: 51,
  operationNotAttempted: 55,
  groupIdNotFound: 69,
  memberIdRequired: 79,
  fencedInstanceId: 82,
  invalidRecord: 87,
  unstableOffsetCommit: 88,
} as const

/** Kafka's name for a code, for messages. */
export function kafkaErrorName(code: number): string {
  return KAFKA_ERRORS.get(code)?.name ?? `error ${code}`
}

export function isRetriable(code: number): boolean {
  return KAFKA_ERRORS.get(code)?.remedy === 'retry'
}

/** The member or its generation is no longer valid. */
export function isMembershipLost(code: number): boolean {
  const remedy = KAFKA_ERRORS.get(code)?.remedy
  return remedy === 'lost' || code === KafkaCode.fencedInstanceId
}

/** OUT_OF_ORDER_SEQUENCE_NUMBER, DUPLICATE_SEQUENCE_NUMBER, INVALID_TXN_STATE, TRANSACTION_COORDINATOR_FENCED, UNKNOWN_PRODUCER_ID, TRANSACTION_ABORTABLE. */
const LOST_TRANSACTION: ReadonlySet<number> = new Set([45, 46, 48, 52, 59, 120])

/** Whether a transactional producer cannot continue after this code. */
export function endsTransactions(code: number): boolean {
  return KAFKA_ERRORS.get(code)?.remedy === 'PRODUCER_FENCED' || LOST_TRANSACTION.has(code)
}

/** OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, UNKNOWN_PRODUCER_ID. */
const END_OF_NUMBERS: ReadonlySet<number> = new Set([45, 47, 49, 59])

/** Whether the partition accepts a batch again once the producer numbers its batches anew, outside of transactions. */
export function endsNumbers(code: number): boolean {
  return END_OF_NUMBERS.has(code)
}

/** A right of Kafka's authorizer, as `kafka-acls` names it. */
export type Right = 'Read' | 'Write' | 'Describe' | 'Create' | 'Delete' | 'DescribeConfigs'

/** The kind of resource on which the right is missing. */
const REFUSED_ON: ReadonlyMap<number, string> = new Map([
  [29, 'topic'],
  [30, 'group'],
  [53, 'transactional id'],
])

/**
 * Converts a permanent code to an error; `fallback` is for codes without an entry. `what` says what was tried, as a
 * sentence. `right` is the right that it needs if the broker has an authorizer.
 */
export function kafkaError(
  code: number,
  what: string,
  fallback: ErrorCode = 'RECORD_REFUSED',
  right?: Right,
): MillraceError {
  const remedy = KAFKA_ERRORS.get(code)?.remedy ?? fallback
  const known = remedy === 'retry' ? fallback : remedy === 'lost' ? 'MEMBER_FENCED' : remedy
  const on = REFUSED_ON.get(code)
  const also = right === 'Describe' ? ', which Read and Write imply' : ''
  const advice =
    right === undefined || on === undefined ? '' : ` The user of the app needs the right ${right} on the ${on}${also}.`
  return new MillraceError(known, `${what} Kafka answered ${kafkaErrorName(code)}.${advice}`)
}
