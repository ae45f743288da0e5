import { appendFile } from 'node:fs/promises'
import { createApp } from '@millrace/app'

export const app = createApp({ id: 'leader-jobs' })

/** Where runs are written down, for all workers. */
const file = process.env['LEADER_JOBS_FILE'] ?? 'leader-jobs.txt'

app.crontab('* * * * * *', { onLeader: true }, async function everySecond({ slot }) {
  await appendFile(file, `${process.pid} ${slot.toISOString()}\n`)
})

await app.main(import.meta)
