import { createApp } from '@millrace/app'
import { expect } from 'vitest'
import { paymentFlow } from './payment-flow.ts'
import { declarePayments } from './payments.ts'

/** The flow in this process, on a broker. */
export async function paymentFlowOn(
  broker: string,
  processingGuarantee: 'at-least-once' | 'exactly-once',
): Promise<void> {
  const id = `payments-${process.pid}-${Date.now().toString(36)}`
  const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  const app = createApp({ id, broker, processingGuarantee, commitInterval: '50ms', web: false }, { log: quiet })
  const shop = declarePayments(app, `${id}-`)
  const seen: (readonly [string, unknown])[] = []
  // Reads what has come out, in the same app: exactly once, of what is committed.
  app.agent('look', shop.settled, async (stream) => {
    for await (const { key, value } of stream.events()) seen.push([key, value])
  })
  await app.start()
  try {
    await paymentFlow({
      shop,
      until: async (what, holds) => {
        await expect.poll(holds, { timeout: 30_000, interval: 20, message: what }).toBe(true)
      },
      settled: async () => seen,
    })
  } finally {
    await app.stop()
  }
}
