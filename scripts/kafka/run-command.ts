import { execFile } from 'node:child_process'

/** Runs a program to its end and gives what it printed; the error of a failing one shows the end of its output. */
export function runCommand(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly timeoutMs: number },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const settings = { cwd: options.cwd, timeout: options.timeoutMs, encoding: 'utf8', maxBuffer: 16 << 20 } as const
    execFile(program, args, settings, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      if (error.code === 'ENOENT') return reject(new Error(`"${program}" is not on the PATH.`, { cause: error }))
      const tail = `${stdout}${stderr}`.trim().split('\n').slice(-15).join('\n')
      reject(
        new Error(
          `"${program}" failed (${error.killed === true ? 'took too long' : `exit ${String(error.code)}`}):\n${tail}`,
          { cause: error },
        ),
      )
    })
  })
}
