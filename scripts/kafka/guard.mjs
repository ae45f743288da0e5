// Ends broker processes whose starter has gone, in whatever way it went: the starter holds the other end of this
// process's input, which closes with it. Lines: "pid N", "gone N", "directory PATH", "released". Plain JavaScript, so
// that it starts without a loader.
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'

const pids = new Set()
const directories = new Set()
let released = false
const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => {
  const [word, rest] = [line.split(' ', 1)[0], line.slice(line.indexOf(' ') + 1)]
  if (word === 'pid') pids.add(Number(rest))
  else if (word === 'gone') pids.delete(Number(rest))
  else if (word === 'directory') directories.add(rest)
  else if (word === 'released') released = true
})
lines.on('close', () => {
  if (released) return
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
  for (const directory of directories)
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
})
