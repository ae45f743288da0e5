import { Listeners, type Sensor } from '@millrace/core'
import type { RebalanceChange, WorkerEvents } from '../contracts/worker.ts'

/** Those who want to know what a rebalance has changed. Their errors are reported, and stop nothing. */
export class RebalanceListeners extends Listeners<WorkerEvents> {
  constructor(sensor: Pick<Sensor, 'errorRaised'>) {
    super(['partitionsAssigned', 'partitionsLost', 'rebalanceComplete'], (_event, error) =>
      sensor.errorRaised({ source: 'rebalance listener', error }),
    )
  }

  rebalanced(change: RebalanceChange): void {
    if (change.lost.length > 0) this.notify('partitionsLost', change.lost)
    if (change.gained.length > 0) this.notify('partitionsAssigned', change.gained)
    this.notify('rebalanceComplete', change)
  }
}
