import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { intro, log, note, outro } from '@clack/prompts'
import { ask, Cancelled, DEFAULTS, type Choices } from './ask.ts'
import { createProject, ownVersion, ScaffoldError, whyNot } from './create-project.ts'
import { callingInstaller, spokenBy } from './installers.ts'
import { readArguments, USAGE, type Arguments } from './read-arguments.ts'

/**
 * `create-stream-app`, with its command-line arguments. Resolves to the exit code: 0 created, 1 failed or cancelled, 2
 * wrong usage.
 */
export async function main(words: readonly string[]): Promise<number> {
  let given: Arguments
  try {
    given = readArguments(words)
  } catch (thrown) {
    return fail(thrown, 2)
  }
  if (given.help) return print(USAGE)
  if (given.version) return print(`${ownVersion()}\n`)
  // Check before asking: invalid arguments fail without any question.
  const problem = given.directory === undefined ? undefined : whyNot(given.directory)
  if (problem !== undefined) return fail(new ScaffoldError(problem), 2)
  try {
    return await make({ ...(await choose(given)), overwrite: given.overwrite })
  } catch (thrown) {
    return fail(thrown, 1)
  }
}

async function choose(given: Arguments): Promise<Choices> {
  const callingPm = callingInstaller(process.env['npm_config_user_agent'])
  const isSeen = process.stdin.isTTY && process.stdout.isTTY
  if (!given.yes && isSeen) {
    intro('create-stream-app')
    return ask(given, callingPm)
  }
  const { directory, template, pm, install, git } = given
  return {
    directory: directory ?? DEFAULTS.directory,
    template: template ?? DEFAULTS.template,
    pm: pm ?? callingPm,
    install: install ?? DEFAULTS.install,
    git: git ?? DEFAULTS.git,
  }
}

async function make(choices: Choices & Pick<Arguments, 'overwrite'>): Promise<number> {
  const { template, pm } = choices
  const isFresh = !existsSync(join(choices.directory, 'node_modules'))
  const path = await createProject(choices)
  const shown = relative(process.cwd(), path) || '.'
  log.success(`Made ${shown} from the template ${template}.`)
  if (choices.git) await makeRepository(path)
  const next = [...(shown === '.' ? [] : [`cd ${shown}`]), ...(choices.install ? [] : [`${pm} install`])]
  if (choices.install) {
    log.step(`Installing dependencies with ${pm}.`)
    const problem = await run(pm, ['install'], path)
    if (problem !== undefined) {
      // Remove a partial installation, which could be mistaken for a complete one.
      if (isFresh) await rm(join(path, 'node_modules'), { recursive: true, force: true })
      log.error(
        `Dependencies could not be installed: ${problem}. The project is complete; once that is fixed, run "${pm} install" in ${shown}.`,
      )
      return 1
    }
  }
  note([...next, spokenBy(pm, 'npm run dev')].join('\n'), 'Next')
  outro('The page will be at http://localhost:6066/ and README.md describes the rest.')
  return 0
}

/** Without git, or inside a repository, the project gets no repository. */
async function makeRepository(path: string): Promise<void> {
  if ((await run('git', ['rev-parse', '--is-inside-work-tree'], path, 'silent')) === undefined) return
  const problem = await run('git', ['init', '--quiet'], path, 'silent')
  if (problem !== undefined) log.warn(`No git repository was made: ${problem}.`)
}

/** Why it failed; `undefined` if it succeeded. */
function run(command: string, args: readonly string[], cwd: string, output?: 'silent'): Promise<string | undefined> {
  return new Promise((done) => {
    const stdio = output === 'silent' ? 'ignore' : 'inherit'
    // On Windows package managers are scripts, which only a shell can start.
    const child = spawn(command, [...args], { cwd, stdio, shell: process.platform === 'win32' })
    child.once('error', (error) => done(`${command} cannot be started (${error.message})`))
    child.once('close', (code, signal) =>
      done(code === 0 ? undefined : `${command} ${args.join(' ')} ended with ${signal ?? code}`),
    )
  })
}

function fail(thrown: unknown, exitCode: number): number {
  if (!(thrown instanceof Cancelled || thrown instanceof ScaffoldError)) throw thrown
  process.stderr.write(`${thrown.message}\n`)
  return exitCode
}

function print(text: string): number {
  process.stdout.write(text)
  return 0
}
