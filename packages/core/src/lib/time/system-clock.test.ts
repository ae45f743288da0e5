import { expect, test } from 'vitest'
import { systemClock } from './system-clock.ts'

test('a timer never fires early, even after a long turn of the event loop', async () => {
  const clock = systemClock()
  const busyUntil = performance.now() + 30
  while (performance.now() < busyUntil);
  const start = clock.monotonic()
  await clock.sleep(20)
  expect(clock.monotonic() - start).toBeGreaterThanOrEqual(20)
})

test("wall time is the machine's time", () => {
  expect(Math.abs(systemClock().now() - Date.now())).toBeLessThan(1000)
})
