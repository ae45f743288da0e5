import { appendFile } from 'node:fs/promises'
import { createApp, type JobContext } from '@millrace/app'

export const app = createApp({ id: 'leader-jobs' })

/** Where runs are written down, for all workers. */
const file = process.env['LEADER_JOBS_FILE'] ?? 'leader-jobs.txt'

/** One line for each run: who, what and for when. */
async function write({ job, slot }: JobContext): Promise<void> {
  await appendFile(file, `${process.pid} ${job} ${slot.toISOString()}\n`)
}

// Every worker runs these.
app.task({ name: 'task' }, write)
app.timer('1s', { name: 'timer' }, write)
app.crontab('* * * * * *', { name: 'cron' }, write)

// One worker of the group runs these, the leader.
app.task({ name: 'leader-task', onLeader: true }, write)
app.timer('1s', { name: 'leader-timer', onLeader: true }, write)
app.crontab('* * * * * *', { name: 'leader-cron', onLeader: true }, write)

await app.main(import.meta)
