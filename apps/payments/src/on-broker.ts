import { createApp } from '@millrace/app'
import { expect } from 'vitest'
import { paymentFlow } from './payment-flow.ts'
import { declarePayments } from './payments.ts'

const OUTPUTS = ['settled', 'reminded'] as const

/** The flow in this process, on a broker. */
export async function paymentFlowOn(
  broker: string,
  processingGuarantee: 'at-least-once' | 'exactly-once',
): Promise<void> {
  const id = `payments-${process.pid}-${Date.now().toString(36)}`
  const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  const app = createApp({ id, broker, processingGuarantee, commitInterval: '50ms', web: false }, { log: quiet })
  const shop = declarePayments(app, { prefix: `${id}-`, remindAfterMs: 1000 })
  const seen = new Map<string, (readonly [string, unknown])[]>()
  // Reads what has come out, in the same app: exactly once, of what is committed.
  for (const of of OUTPUTS) {
    const records: (readonly [string, unknown])[] = []
    seen.set(of, records)
    app.agent(`look-at-${of}`, shop[of], async (stream) => {
      for await (const { key, value } of stream.events()) records.push([key, value])
    })
  }
  await app.start()
  try {
    await paymentFlow({
      shop,
      until: async (what, holds) => {
        await expect.poll(holds, { timeout: 30_000, interval: 20, message: what }).toBe(true)
      },
      sent: async (of) => seen.get(of) ?? [],
    })
  } finally {
    await app.stop()
  }
}
