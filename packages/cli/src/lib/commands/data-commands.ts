import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { MillraceError, toError } from '@millrace/core'
import type { Backup, CommandLineApp, LocalData, LogTransfer } from '@millrace/core/operations'
import { option, positional } from '../arguments/grammar.ts'
import type { OutputStream, Terminal } from '../output/terminal.ts'
import { command, type Command, type CommandContext } from './command-context.ts'

/** Stands for the standard input or output instead of a file. */
const STREAM = '-'
const PRIVATE_FILE = 0o600

/** `embedded export|import`: the embedded broker's log as text, which every version can read. */
export const embeddedCommand: Command = command({
  name: 'embedded',
  describe:
    'Write the log of the embedded broker as text, or make one of it: for moving it to another version or machine',
  positionals: [
    positional('action', { choices: ['export', 'import'], describe: 'export FILE, or import FILE' }),
    positional('file', { describe: 'A file, or - for the standard output or input' }),
  ],
  examples: ['embedded export log.jsonl', 'embedded export - | gzip > log.jsonl.gz', 'embedded import log.jsonl'],
  run: async (context) => {
    const { app, cli, json, values, quiet, terminal } = context
    const [action, file] = [String(values['action']), String(values['file'])]
    const data = dataOf(app)
    const done =
      action === 'export'
        ? await exportTo(file, data, context)
        : await data.importLog(readFrom(file, terminal), cli.signal)
    // The text itself may go to the output, so this goes to the error output.
    if (file === STREAM && action === 'export') {
      if (!quiet) terminal.stderr.write(`${describeTransfer('Written', done)}\n`)
    } else if (json) cli.json(done)
    else if (!quiet) cli.say(describeTransfer(action === 'export' ? 'Written' : 'Made', done))
    return 0
  },
})

/** `backup`: copies the log and the stores as of one moment. */
export const backupCommand: Command = command({
  name: 'backup',
  describe:
    'Copy the embedded log and the stores of tables into a new directory. The log may be in use; a store only in the process that has it (app.backup)',
  options: [
    option('log-only', {
      type: 'boolean',
      default: false,
      describe: 'Leave the stores out: they are built anew from the changelogs',
    }),
  ],
  positionals: [positional('directory', { describe: 'Where to; empty or missing' })],
  examples: ['backup /backups/monday', 'backup /backups/monday --log-only'],
  run: async ({ app, cli, json, values, quiet }) => {
    const directory = String(values['directory'])
    const backup = await dataOf(app).backup(directory, { logOnly: values['log-only'] === true })
    sayBackup(backup, { cli, json, quiet, what: 'Copied' })
    return 0
  },
})

/** `restore`: copies a backup into the app's data directory. */
export const restoreCommand: Command = command({
  name: 'restore',
  describe: 'Put a backup where the app keeps its data; there must be none yet, and no worker may run',
  positionals: [positional('directory', { describe: 'What backup has made' })],
  examples: ['restore /backups/monday'],
  run: async ({ app, cli, json, values, quiet }) => {
    sayBackup(await dataOf(app).restore(String(values['directory'])), { cli, json, quiet, what: 'Put back' })
    return 0
  },
})

function dataOf(app: CommandLineApp): LocalData {
  if (app.data !== undefined) return app.data
  throw new MillraceError('COMMAND_USAGE', `The app "${app.id}" is of an earlier version, which has no such command.`)
}

function describeTransfer(what: string, { directory, records, sha256 }: LogTransfer): string {
  return `${what}: ${records} records of the log in ${directory}, sha256 ${sha256}`
}

function sayBackup(
  backup: Backup,
  { cli, json, quiet, what }: Pick<CommandContext, 'cli' | 'json' | 'quiet'> & { readonly what: string },
): void {
  if (json) cli.json(backup)
  else if (!quiet) {
    cli.table(backup.files.map(({ path, bytes }) => ({ file: path, bytes })))
    cli.say(`\n${what}, as of ${new Date(backup.madeAt).toISOString()}.`)
  }
}

/** Removes an incomplete file. */
async function exportTo(file: string, data: LocalData, { cli, terminal }: CommandContext): Promise<LogTransfer> {
  if (file === STREAM) return data.exportLog((piece) => writeTo(terminal.raw.stdout, piece), cli.signal)
  const handle = await open(file, 'wx', PRIVATE_FILE).catch((thrown: unknown) => {
    throw new MillraceError('COMMAND_USAGE', `"${file}" cannot be made: ${toError(thrown).message}.`, { cause: thrown })
  })
  try {
    const done = await data.exportLog((piece) => handle.appendFile(piece), cli.signal)
    await handle.sync()
    await handle.close()
    return done
  } catch (thrown) {
    await handle.close()
    await rm(file, { force: true })
    throw thrown
  }
}

/** Waits until the reader of the output has consumed it. */
async function writeTo(stream: OutputStream, piece: Buffer): Promise<void> {
  if (stream.write(piece.toString()) === false && stream === process.stdout) await once(process.stdout, 'drain')
}

async function* readFrom(file: string, { stdin }: Terminal): AsyncGenerator<Buffer> {
  if (file === STREAM) {
    if (stdin === undefined) throw new MillraceError('COMMAND_USAGE', 'There is no standard input to read from.')
    for await (const piece of stdin) yield Buffer.from(piece)
    return
  }
  try {
    for await (const piece of createReadStream(file)) yield piece
  } catch (thrown) {
    throw new MillraceError('COMMAND_USAGE', `"${file}" cannot be read: ${toError(thrown).message}.`, { cause: thrown })
  }
}
