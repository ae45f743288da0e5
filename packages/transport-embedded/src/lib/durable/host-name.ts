import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'

/** Names a transport of this process: machine, process, and one of its transports. */
export function newHostName(): string {
  return `${hostname()}/${process.pid}/${randomUUID()}`
}

/**
 * Whether a host's process is surely gone. Process numbers mean nothing on another machine or in another container
 * (their host names differ), and may be used again: then the heartbeat decides.
 */
export function isHostDead(host: string): boolean {
  const [machine, pid] = host.split('/')
  if (machine !== hostname()) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH'
  }
}
