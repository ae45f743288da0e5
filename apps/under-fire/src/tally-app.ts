import { type AppSettings, createApp } from '@millrace/app'

/** What one worker process is to run; plain data, for it travels as JSON. */
export interface TallyPlan {
  readonly settings: AppSettings
  /** Topic of numbered records. */
  readonly numbers: string
  /** Where each number goes, with who handled it and when. */
  readonly copies: string
  /** A second topic, whose agent takes so long for each record. */
  readonly slow?: { readonly topic: string; readonly eventMs: number }
  /** Whoever handles this number computes for so long, each time. */
  readonly poison?: { readonly number: string; readonly computesMs: number }
  /** Bytes added to each copy. */
  readonly paddingBytes?: number
  /** Told in each copy. */
  readonly worker: string
}

/** What tests do to the handler while it runs. */
export interface TallyControls {
  /** The next event keeps the event loop for so long, before its writes. */
  blockMs: number
  /** Each event waits for it, when there is one. */
  hold: Promise<void> | undefined
  /** Each event takes so long. */
  eventMs: number
  handledSlow: number
  readonly wait: (ms: number) => Promise<void>
  readonly now: () => number
}

/** Counts numbers by key in a table, and copies each to another topic. */
export function tallyApp(plan: TallyPlan, controls: TallyControls): ReturnType<typeof createApp> {
  const app = createApp(plan.settings)
  const numbers = app.topic(plan.numbers, { key: 'string', value: 'string' })
  const copies = app.topic(plan.copies, { key: 'string', value: 'string' })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
  const padding = 'x'.repeat(plan.paddingBytes ?? 0)

  app.agent('tally', numbers, async (stream) => {
    for await (const [key, value] of stream.items()) {
      if (value === plan.poison?.number) compute(plan.poison.computesMs, controls)
      if (controls.blockMs > 0) blockEventLoop(controls)
      if (controls.hold !== undefined) await controls.hold
      if (controls.eventMs > 0) await controls.wait(controls.eventMs)
      counts.update(key, (count) => count + 1)
      await copies.send({ key, value: `${value} ${plan.worker} ${controls.now()} ${padding}` })
    }
  })

  if (plan.slow !== undefined) {
    const { topic, eventMs } = plan.slow
    app.agent('slow', app.topic(topic, { value: 'string' }), async (stream) => {
      for await (const _value of stream) {
        controls.handledSlow++
        await controls.wait(eventMs)
      }
    })
  }
  return app
}

/**
 * An eighth of the time, by the clock of the processor: the worker sees that it computes, on a busy machine too, and
 * whoever else is there gets on.
 */
function compute(ms: number, { now }: TallyControls): void {
  for (const endMs = now() + ms; now() < endMs;) {
    const roundMs = now() + 80
    const before = process.cpuUsage()
    // Asking takes its time too.
    while (process.cpuUsage(before).user < 10_000) for (let i = 0; i < 1_000_000; i++);
    pause(Math.max(roundMs - now(), 0))
  }
}

/** Once: its successor must not block as well when the event is handled again. */
function blockEventLoop(controls: TallyControls): void {
  const ms = controls.blockMs
  controls.blockMs = 0
  pause(ms)
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
