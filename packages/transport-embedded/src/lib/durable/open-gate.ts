import { existsSync, linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory, PRIVATE_FILE } from '@millrace/core'
import { isHostDead } from './host-name.ts'

export interface GateHolder {
  /** Of this taking of the gate. */
  readonly id: string
  readonly host: string
  /** Opening waits for the others to stop writing, closing does not. */
  readonly purpose: 'open' | 'close'
}

/**
 * The files by which processes make sure that none writes while one of them opens the log, and that opening and
 * closing exclude each other. LMDB 0.9.9x as lmdb-js has it needs that: `mdb_env_open` stores the transaction number it
 * has read a moment before as the current one, and so takes back what was committed in between; and the last one to
 * close destroys the locks under one that is just opening.
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

  /** Who has the gate now; a dead holder does not count. */
  holder(): GateHolder | undefined {
    if (!existsSync(this.#gate)) return undefined
    const holder = parse(readText(this.#gate))
    return holder === undefined || isHostDead(holder.host) ? undefined : holder
  }

  /** The taking's id; `undefined` when another process has the gate. */
  take(purpose: GateHolder['purpose']): string | undefined {
    const id = `${this.#host}/${++this.#takings}`
    const draft = join(this.#users, `${encodeURIComponent(id)}.draft`)
    writeFileSync(draft, JSON.stringify({ id, host: this.#host, purpose } satisfies GateHolder), { mode: PRIVATE_FILE })
    try {
      linkSync(draft, this.#gate)
      return id
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
      this.#clearDead()
      return undefined
    } finally {
      rmSync(draft, { force: true })
    }
  }

  release(): void {
    rmSync(this.#gate, { force: true })
  }

  /** From now on openers wait for this process. To be called while holding the gate. */
  register(): void {
    writeFileSync(this.#file(this.#host), '', { mode: PRIVATE_FILE })
  }

  unregister(): void {
    rmSync(this.#file(this.#host), { force: true })
  }

  /** This process does not write until the taking is over. */
  acknowledge(id: string): void {
    writeFileSync(this.#file(this.#host), id, { mode: PRIVATE_FILE })
  }

  /** Living processes that have the log open and have not acknowledged. Files of dead ones are removed. */
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

  /** Clears a gate whose holder has died. Only the process that creates the file named after that taking removes it. */
  #clearDead(): void {
    const dead = parse(readText(this.#gate))
    if (dead === undefined || !isHostDead(dead.host)) return
    const claim = join(this.#users, `${encodeURIComponent(this.#host)}.clear.draft`)
    const single = `${this.#gate}.${encodeURIComponent(dead.id).slice(-60)}`
    writeFileSync(claim, this.#host, { mode: PRIVATE_FILE })
    try {
      linkSync(claim, single)
    } catch {
      // Somebody else is at it, or has died at it: then that file is the one to clear.
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

/** Empty when the file is not there. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}

function parse(text: string): GateHolder | undefined {
  if (text === '') return undefined
  const value: GateHolder = JSON.parse(text)
  return value
}
