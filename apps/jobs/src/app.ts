import { createApp } from '@millrace/app'

export const app = createApp({ id: 'jobs' })

app.task(async function onStarted() {
  console.log('APP STARTED')
})

app.timer('1m', async function everyMinute() {
  console.log('WAKE UP')
})

app.crontab('0 20 * * *', async function everyDayAt8pm() {
  console.log('WAKE UP ONCE A DAY')
})

app.crontab(
  '0 20 * * *',
  { timezone: 'America/Los_Angeles', onLeader: true },
  async function everyDayAt8pmPacific({ slot }) {
    console.log(`WAKE UP ONCE A DAY, IN CALIFORNIA: ${slot.toISOString()}`)
  },
)

await app.main(import.meta)
