import { existsSync, linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasSystemCode, makeDirectory, PRIVATE_FILE } from '@millrace/core'
import { isHostDead } from './host-name.ts'

export interface GateHolder {
  /** Identifies this holding of the gate. */
  readonly id: string
  readonly host: string
  /** Opening waits until the others stop writing; closing does not. */
  readonly purpose: 'open' | 'close'
}

/**
 * The files by which processes ensure that none writes while one of them opens the log, and that opening and closing
 * exclude each other. LMDB 0.9.9x as used by lmdb-js needs that: `mdb_env_open` stores the transaction number that it
 * has read a moment before as the current one, and so reverts commits in between. The last process to close also
 * destroys the locks of one that is just opening.
 */
export class OpenGate {
  readonly #gate: string
  readonly #users: string
  readonly #host: string
  #takings = 0

  constructor(directory: string, host: string) {
    this.#gate = join(directory, 'millrace-log.gate')
    this.#users = join(directory, 'millrace-log.users')
    this.#host = host
    makeDirectory(this.#users)
  }

  /** For messages. */
  get path(): string {
    return this.#gate
  }

  /** The present holder of the gate; a dead one does not count. */
  holder(): GateHolder | undefined {
    if (!existsSync(this.#gate)) return undefined
    const holder = parse(readText(this.#gate))
    return holder === undefined || isHostDead(holder.host) ? undefined : holder
  }

  /** Takes the gate and returns an id; `undefined` if another process has it. */
  take(purpose: GateHolder['purpose']): string | undefined {
    const id = `${this.#host}/${++this.#takings}`
    const draft = join(this.#users, `${encodeURIComponent(id)}.draft`)
    writeFileSync(draft, JSON.stringify({ id, host: this.#host, purpose } satisfies GateHolder), { mode: PRIVATE_FILE })
    try {
      linkSync(draft, this.#gate)
      return id
    } catch (error) {
      if (!hasSystemCode(error, 'EEXIST')) throw error
      this.#clearDead()
      return undefined
    } finally {
      rmSync(draft, { force: true })
    }
  }

  release(): void {
    rmSync(this.#gate, { force: true })
  }

  /** Makes openers wait for this process from now on. Must be called while holding the gate. */
  register(): void {
    writeFileSync(this.#file(this.#host), '', { mode: PRIVATE_FILE })
  }

  unregister(): void {
    rmSync(this.#file(this.#host), { force: true })
  }

  /** Confirms that this process does not write until the gate is released. */
  acknowledge(id: string): void {
    writeFileSync(this.#file(this.#host), id, { mode: PRIVATE_FILE })
  }

  /** Living processes that have the log open and have not confirmed. Files of dead ones are removed. */
  unanswered(id: string): readonly string[] {
    return readdirSync(this.#users).flatMap((name) => {
      const host = decodeURIComponent(name)
      if (host === this.#host) return []
      if (isHostDead(host)) {
        rmSync(join(this.#users, name), { force: true })
        return []
      }
      return host.endsWith('.draft') || readText(join(this.#users, name)) === id ? [] : [host]
    })
  }

  /**
   * Clears a gate whose holder has died. Only the process that creates the file named after that holding removes it.
   */
  #clearDead(): void {
    const dead = parse(readText(this.#gate))
    if (dead === undefined || !isHostDead(dead.host)) return
    const claim = join(this.#users, `${encodeURIComponent(this.#host)}.clear.draft`)
    const single = `${this.#gate}.${encodeURIComponent(dead.id).slice(-60)}`
    writeFileSync(claim, this.#host, { mode: PRIVATE_FILE })
    try {
      linkSync(claim, single)
    } catch {
      // Another process is clearing it, or has died while clearing: then that file is the one to clear.
      if (isHostDead(readText(single) || this.#host)) rmSync(single, { force: true })
      return
    } finally {
      rmSync(claim, { force: true })
    }
    if (parse(readText(this.#gate))?.id === dead.id) rmSync(this.#gate, { force: true })
    rmSync(single, { force: true })
  }

  #file(host: string): string {
    return join(this.#users, encodeURIComponent(host))
  }
}

/** Empty if the file does not exist. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return ''
    throw error
  }
}

function parse(text: string): GateHolder | undefined {
  if (text === '') return undefined
  const value: GateHolder = JSON.parse(text)
  return value
}
