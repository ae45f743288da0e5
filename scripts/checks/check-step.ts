import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { describeProblem, type Problem } from './problem.ts'
import type { Workspace } from './workspace.ts'

export interface Check {
  /** As it is asked for: `pnpm check layers`. */
  readonly name: string
  readonly describe: string
  run(context: { readonly root: string; readonly workspace: Workspace }): Promise<CheckResult>
}

export interface CheckResult {
  readonly ok: boolean
  readonly output: string
}

/** A check of ours: a function over the files. */
export function internalCheck(
  name: string,
  describe: string,
  find: (workspace: Workspace) => readonly Problem[],
): Check {
  return {
    name,
    describe,
    run: ({ workspace }) => {
      const problems = find(workspace)
      return Promise.resolve({ ok: problems.length === 0, output: problems.map(describeProblem).join('\n') })
    },
  }
}

/** A check by a tool: it passes when the tool exits with 0. */
export function externalCheck(
  name: string,
  describe: string,
  command: readonly [program: string, ...words: string[]],
): Check {
  return { name, describe, run: ({ root }) => runTool(command, root) }
}

function runTool([program, ...words]: readonly [string, ...string[]], root: string): Promise<CheckResult> {
  return new Promise((resolve) => {
    const path = [join(root, 'node_modules', '.bin'), process.env['PATH'] ?? ''].join(delimiter)
    const child = spawn(program, words, {
      cwd: root,
      env: { ...process.env, PATH: path, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('error', (error) => resolve({ ok: false, output: `${program} cannot be run: ${error.message}` }))
    child.on('close', (code) =>
      resolve({ ok: code === 0, output: Buffer.concat(chunks).toString().trimEnd() || `exit code ${code}` }),
    )
  })
}
