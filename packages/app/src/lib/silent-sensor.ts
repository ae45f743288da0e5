import type { Sensor } from '@millrace/core'

/** Observes nothing. */
export const silentSensor: Sensor = Object.freeze({
  batchFetched: () => {},
  sendCompleted: () => {},
  commitCompleted: () => {},
  rebalanceStarted: () => {},
  rebalanceCompleted: () => {},
  recoveryProgress: () => {},
  errorRaised: () => {},
})
