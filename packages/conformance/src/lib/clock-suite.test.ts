import { manualClock, systemClock } from '@millrace/core'
import { clockSuite } from './clock-suite.ts'

clockSuite('system', () => {
  const clock = systemClock()
  return { clock, elapse: (ms) => clock.sleep(ms) }
})

clockSuite('manual', () => {
  const clock = manualClock()
  return { clock, elapse: (ms) => clock.advance(ms) }
})
