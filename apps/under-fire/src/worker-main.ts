// One worker in a process of its own, told what to do by the test that started it.
import { isMillraceError } from '@millrace/app'
import { systemClock, toError } from '@millrace/core'
import { tallyApp, type TallyControls, type TallyPlan } from './tally-app.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'

const plan: TallyPlan = JSON.parse(process.argv[2] ?? '{}')
const clock = systemClock()
const controls: TallyControls = {
  blockMs: 0,
  hold: undefined,
  eventMs: 0,
  handled: 0,
  handledSlow: 0,
  wait: (ms) => clock.sleep(ms),
  now: () => clock.now(),
}
let release = (): void => {}
const app = tallyApp(plan, controls)

const say = (message: FromWorker): void => void process.send?.(message)
const end = async (): Promise<void> => {
  await app.stop()
  process.exit(0)
}
const fail = (thrown: unknown): void => {
  const error = toError(thrown)
  const told: FromWorker = { say: 'failed', code: isMillraceError(error) ? error.code : '', message: error.message }
  process.send?.(told, () => process.exit(1))
}

const report = async (id: number): Promise<void> => {
  const health = await app.web.fetch(new Request('http://worker/health/ready'))
  say({
    say: 'report',
    id,
    report: {
      stats: app.stats(),
      health: JSON.parse(await health.text()),
      handled: controls.handled,
      handledSlow: controls.handledSlow,
      rssBytes: process.memoryUsage.rss(),
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
    },
  })
}

process.on('message', (message: ToWorker) => {
  switch (message.do) {
    case 'stop':
      end().catch(fail)
      return
    case 'block':
      controls.blockMs = message.ms
      return
    case 'hold':
      controls.hold ??= new Promise((resolve) => (release = resolve))
      return
    case 'release':
      controls.hold = undefined
      release()
      return
    case 'slow down':
      controls.eventMs = message.eventMs
      return
    case 'report':
      report(message.id).catch(fail)
  }
})
process.on('SIGTERM', () => void end().catch(fail))
// The test has died.
process.on('disconnect', () => process.exit(1))

app.on('rebalanceComplete', (change) => say({ say: 'moved', change }))
app.start().then(() => say({ say: 'ready' }), fail)
app.finished().catch(fail)
