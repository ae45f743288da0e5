import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'

/** What a measured program prints: one JSON object a line. */
export interface Mark {
  readonly mark: string
  readonly [figure: string]: string | number
}

export interface MeasuredChild {
  readonly startedMs: number
  readonly pid: number
  /** The first line with this mark; rejects when the program ends without it or `limitMs` passes. */
  until(mark: string, limitMs: number): Promise<Mark>
  /** Highest resident memory so far, in MB. */
  peakMb(): number
  /** Resident memory now, in MB. */
  residentMb(): number
  /** The part of it that is no file, such as that of a store. */
  anonymousMb(): number
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** SIGTERM, then SIGKILL after 10 s. Resolves to the exit code. */
  end(): Promise<number | null>
}

/** Where a worker and a broker run so that they do not take each other's time: with two cores or more, one each. */
export const workerCore: number | undefined =
  availableParallelism() > 1 && existsSync('/usr/bin/taskset') ? 1 : undefined

/** Starts a program to be measured, on a core of its own where there is one. */
export function startChild(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
): MeasuredChild {
  const pinned = workerCore === undefined ? command : ['taskset', '-c', String(workerCore), ...command]
  const startedMs = performance.now()
  const child: ChildProcess = spawn(pinned[0] ?? '', pinned.slice(1), {
    env: { ...process.env, ...env },
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const marks: Mark[] = []
  const waiting = new Set<() => void>()
  let ended: number | null | undefined
  if (child.stdout !== null)
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('{"mark"')) marks.push(JSON.parse(line))
      for (const wake of waiting) wake()
    })
  child.on('exit', (code) => {
    ended = code
    for (const wake of waiting) wake()
  })
  return {
    startedMs,
    pid: child.pid ?? 0,
    until: (mark, limitMs) =>
      new Promise((resolve, reject) => {
        const finish = (settle: () => void): void => {
          clearTimeout(timer)
          waiting.delete(look)
          settle()
        }
        const look = (): void => {
          const found = marks.find((candidate) => candidate.mark === mark)
          if (found !== undefined) finish(() => resolve(found))
          else if (ended !== undefined)
            finish(() => reject(new Error(`The program ended with ${ended} before "${mark}": ${command.join(' ')}`)))
        }
        const timer = setTimeout(
          () => finish(() => reject(new Error(`No "${mark}" within ${limitMs} ms: ${command.join(' ')}`))),
          limitMs,
        )
        waiting.add(look)
        look()
      }),
    peakMb: () => statusMb(child.pid, 'VmHWM'),
    residentMb: () => statusMb(child.pid, 'VmRSS'),
    anonymousMb: () => statusMb(child.pid, 'RssAnon'),
    kill: async () => {
      if (ended !== undefined) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
    end: async () => {
      if (ended !== undefined) return ended
      child.kill('SIGTERM')
      const hard = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await once(child, 'exit')
      clearTimeout(hard)
      return ended ?? null
    },
  }
}

function statusMb(pid: number | undefined, field: string): number {
  const file = `/proc/${pid}/status`
  if (!existsSync(file)) return Number.NaN
  const kb = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(file, 'utf8'))?.[1]
  return Math.round(Number(kb) / 1024)
}
