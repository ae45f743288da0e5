import type { ResolvedSettings } from '@millrace/core'
import type { WorkerSettings } from './worker-options.ts'

/**
 * The settings of an app that concern its worker, by the worker's own names.
 *
 * @example
 * createWorker({ …, settings: workerSettings(resolveSettings({ argument: { id: 'shop' } })) })
 */
export function workerSettings(settings: ResolvedSettings): WorkerSettings {
  return {
    commitIntervalMs: settings.commitIntervalMs,
    sessionTimeoutMs: settings.sessionTimeoutMs,
    rebalanceTimeoutMs: settings.rebalanceTimeoutMs,
    heartbeatIntervalMs: settings.heartbeatIntervalMs,
    drainTimeoutMs: settings.drainTimeoutMs,
    shutdownTimeoutMs: settings.shutdownTimeoutMs,
    connectTimeoutMs: settings.connectTimeoutMs,
    offsetReset: settings.offsetReset,
    onOffsetLost: settings.onOffsetLost,
    isolation: settings.isolation,
    onBatchError: settings.onBatchError,
    topicPartitions: settings.topicPartitions,
    replicationFactor: settings.replicationFactor,
    repartitionPurgeIntervalMs: settings.repartitionPurgeIntervalMs,
    maxBufferedBytes: settings.maxBufferedBytes,
    maxBufferedEvents: settings.maxBufferedEvents,
    maxUncommittedEvents: settings.maxUncommitted,
    maxUncommittedBytes: settings.maxUncommittedBytes,
    deliveryTimeoutMs: settings.deliveryTimeoutMs,
    maxOutboxBytes: settings.maxOutboxBytes,
    maxEventBytes: settings.maxEventBytes,
    maxRecordBytes: settings.maxRecordBytes,
    cacheBytes: settings.cacheBytes,
    standbys: settings.standbys,
    acceptableRecoveryLag: settings.acceptableRecoveryLag,
    maxWarmUps: settings.maxWarmUps,
    exactlyOnce: settings.processingGuarantee === 'exactly-once',
    transactionTimeoutMs: settings.transactionTimeoutMs,
    ...(settings.instanceId === undefined ? {} : { instanceId: settings.instanceId }),
  }
}
