import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { hasSystemCode } from '@millrace/core'

/** Names one transport of this process: machine, process, its start time, and a random id. */
export function newHostName(): string {
  return `${hostname()}/${process.pid}/${startOf(process.pid)}/${randomUUID()}`
}

/**
 * Whether a host's process is certainly gone. Process numbers have no meaning on another machine or in another
 * container (whose host names differ). They are reused, but the start time of a process, if the system has it,
 * distinguishes them.
 */
export function isHostDead(host: string): boolean {
  const [machine, pid, start] = host.split('/')
  if (machine !== hostname()) return false
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    return hasSystemCode(error, 'ESRCH')
  }
  const now = startOf(Number(pid))
  return start !== '' && now !== '' && now !== start
}

/** Ticks since the boot of the machine; empty without `/proc`. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets, which may contain anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
