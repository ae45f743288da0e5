// One worker in a process of its own, told what to do by the test that started it.
import { systemClock } from '@millrace/core'
import { runWorker, type ToWorker } from '@millrace/verifier/child'
import { tallyApp, type TallyControls, type TallyPlan } from './tally-app.ts'

const plan: TallyPlan = JSON.parse(process.argv[2] ?? '{}')
const clock = systemClock()
const controls: TallyControls = {
  blockMs: 0,
  hold: undefined,
  eventMs: 0,
  handledSlow: 0,
  wait: (ms) => clock.sleep(ms),
  now: () => clock.now(),
}
let release = (): void => {}

function hear(message: ToWorker): void {
  if (message.do === 'block') controls.blockMs = message.ms
  else if (message.do === 'slow down') controls.eventMs = message.eventMs
  else if (message.do === 'hold') controls.hold ??= new Promise((resolve) => (release = resolve))
  else if (message.do === 'release') {
    controls.hold = undefined
    release()
  }
}

runWorker(tallyApp(plan, controls), { hear, report: () => ({ handledSlow: controls.handledSlow }) })
