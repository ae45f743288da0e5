import { parseArgs } from 'node:util'
import { ScaffoldError } from './create-project.ts'
import { isInstaller, INSTALLERS, type Installer } from './installers.ts'
import { isTemplate, TEMPLATES, type TemplateName } from './templates.ts'

/** The typed arguments; `undefined` for choices that are asked for or have a default. */
export interface Arguments {
  readonly directory: string | undefined
  readonly template: TemplateName | undefined
  readonly pm: Installer | undefined
  readonly install: boolean | undefined
  readonly git: boolean | undefined
  /** Replace existing files with the names of project files. */
  readonly overwrite: boolean
  /** Ask nothing. */
  readonly yes: boolean
  readonly help: boolean
  readonly version: boolean
}

export const USAGE: string = `create-stream-app [DIRECTORY] [options]

Makes a stream processing app in TypeScript. Asks for what is not given here; without a terminal, or with --yes, it takes
the defaults.

  --template NAME   ${Object.entries(TEMPLATES)
    .map(([name, what]) => `${name}: ${what}`)
    .join('\n                    ')}
  --pm NAME         ${INSTALLERS.join(', ')}; the one that runs this by default
  --overwrite       replace files of the directory that have the names of the project's
  --no-install      do not install dependencies
  --no-git          do not make a git repository
  --yes, -y         ask nothing
  --help, -h        this text
  --version         the version

  npm create stream-app@latest my-app
  npm create stream-app@latest my-app -- --template word-count --yes
  npm create stream-app@latest .
`

/** @throws {ScaffoldError} for unknown options and invalid values */
export function readArguments(words: readonly string[]): Arguments {
  const { values, positionals } = parse(words)
  const [directory, ...more] = positionals
  if (more.length > 0)
    throw new ScaffoldError(`One directory, not ${positionals.length}: "${more.join('", "')}" is too much.`)
  const { template, pm } = values
  if (template !== undefined && !isTemplate(template))
    throw new ScaffoldError(`There is no template "${template}"; there are ${Object.keys(TEMPLATES).join(', ')}.`)
  if (pm !== undefined && !isInstaller(pm)) throw new ScaffoldError(`--pm takes ${INSTALLERS.join(', ')}, not "${pm}".`)
  const { install, git, overwrite = false, yes = false, help = false, version = false } = values
  return { directory, template, pm, install, git, overwrite, yes, help, version }
}

function parse(words: readonly string[]): ReturnType<typeof parseWords> {
  try {
    return parseWords(words)
  } catch (thrown) {
    const reason = thrown instanceof Error ? (thrown.message.split('. ', 1)[0] ?? '') : String(thrown)
    throw new ScaffoldError(`${reason}. See --help.`, { cause: thrown })
  }
}

function parseWords(words: readonly string[]) {
  return parseArgs({
    args: [...words],
    allowPositionals: true,
    allowNegative: true,
    options: {
      template: { type: 'string', short: 't' },
      pm: { type: 'string' },
      install: { type: 'boolean' },
      git: { type: 'boolean' },
      overwrite: { type: 'boolean' },
      yes: { type: 'boolean', short: 'y' },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
    },
  })
}
