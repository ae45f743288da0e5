import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface Outcome {
  readonly code: number | null
  /** Output and error output, as they came. */
  readonly output: string
}

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

/** Runs a program to its end. Rejects, with the end of what it printed, unless it exits with 0. */
export async function runCommand(program: string, args: readonly string[], options: RunOptions): Promise<Outcome> {
  const started = startCommand(program, args, options)
  const timeout = AbortSignal.timeout(options.timeoutMs)
  const ending = started.ended
  const code = await Promise.race([ending, once(timeout, 'abort').then(() => 'timeout' as const)])
  if (code === 'timeout') started.kill('SIGKILL')
  if (code !== 0)
    throw new Error(
      `${program} ${args.join(' ')} in ${options.cwd} ended with ${code}:\n${started.output().slice(-4_000)}`,
    )
  return { code, output: started.output() }
}

/** A program that runs. */
export interface Started {
  /** What it has printed so far. */
  output(): string
  /** The whole group: npm has children. */
  kill(signal: NodeJS.Signals): void
  readonly ended: Promise<number | null>
}

export function startCommand(
  program: string,
  args: readonly string[],
  { cwd, env }: Omit<RunOptions, 'timeoutMs'>,
): Started {
  const child = spawn(program, [...args], {
    cwd,
    env: { ...clean(process.env), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let output = ''
  child.stdout.on('data', (text) => (output += String(text)))
  child.stderr.on('data', (text) => (output += String(text)))
  return {
    output: () => output,
    kill: (signal) => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal)
    },
    ended: new Promise((done, failed) => {
      child.once('error', failed)
      child.once('close', (code) => done(code))
    }),
  }
}

/** Without what npm and vitest tell their children: a newcomer's shell has none of it. */
function clean(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      value === undefined || /^(npm_|pnpm_|VITEST|NODE_ENV$|NODE_OPTIONS$|MILLRACE_|CI$|INIT_CWD$)/i.test(name)
        ? []
        : [[name, value] as const],
    ),
  )
}
