import { runCli, type CliOptions } from '../run-cli.ts'

/** Runs a command as what this process is for, and ends the process with its exit code once the output is written. */
export async function runProcess(words: readonly string[], options: CliOptions = {}): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', endQuietly)
  const exitCode = await runCli(words, options)
  await Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve()))),
  )
  return process.exit(exitCode)
}

/** `millrace topics | head -1`: who reads has gone, which is no failure of ours. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
}
