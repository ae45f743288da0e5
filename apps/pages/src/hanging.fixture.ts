// Run by process.test.ts: nothing of it comes to its end by itself.
import { createApp } from '@millrace/app'

const never = (): Promise<never> =>
  new Promise(() => {
    // A connection, say, that keeps the process alive.
    setInterval(() => {}, 1000)
  })

const app = createApp({ id: 'hanging', shutdownTimeout: '2s' })
const orders = app.topic('orders', { value: 'string' })
app.agent('hang', orders, async (stream) => {
  for await (const order of stream) {
    console.log(`Order ${order} is in flight`)
    await never()
  }
})
app.timer('100ms', async function hungTimer() {
  await never()
})
app.timer('100ms', { onLeader: true }, async function hungOnLeader() {
  await never()
})
app.page('/hung/', () => {
  console.log('The page is asked')
  return never()
})
app.on('beforeStop', () => void never())

await app.main(import.meta)
