import { confirm, group, select, text } from '@clack/prompts'
import { whyNot } from './create-project.ts'
import { INSTALLERS, type Installer } from './installers.ts'
import type { Arguments } from './read-arguments.ts'
import { isTemplate, TEMPLATES, type TemplateName } from './templates.ts'

/** All choices for the project. */
export interface Choices {
  readonly directory: string
  readonly template: TemplateName
  readonly pm: Installer
  readonly install: boolean
  readonly git: boolean
}

/** The choices if nobody is asked, or the user presses Enter. */
export const DEFAULTS: Pick<Choices, 'directory' | 'template' | 'install' | 'git'> = {
  directory: 'my-stream-app',
  template: 'minimal',
  install: true,
  git: true,
}

/** The user pressed Ctrl-C or Escape. */
export class Cancelled extends Error {
  override readonly name: string = 'Cancelled'
}

/** Asks for the choices that were not typed. */
export async function ask(given: Arguments, callingPm: Installer): Promise<Choices> {
  return group(
    {
      directory: () => known(given.directory) ?? askDirectory(),
      template: () => known(given.template) ?? askTemplate(),
      pm: () =>
        known(given.pm) ??
        select({
          message: 'Which package manager?',
          options: INSTALLERS.map((value) => ({ value, label: value })),
          initialValue: callingPm,
        }),
      install: () => known(given.install) ?? confirm({ message: 'Install dependencies now?' }),
      git: () => known(given.git) ?? confirm({ message: 'Make a git repository?' }),
    },
    {
      onCancel: () => {
        throw new Cancelled('Nothing was made.')
      },
    },
  )
}

function known<T>(value: T | undefined): Promise<T> | undefined {
  return value === undefined ? undefined : Promise.resolve(value)
}

function askDirectory(): Promise<string | symbol> {
  return text({
    message: 'Where?',
    placeholder: DEFAULTS.directory,
    defaultValue: DEFAULTS.directory,
    validate: (value) => whyNot(value === undefined || value === '' ? DEFAULTS.directory : value),
  })
}

function askTemplate(): Promise<TemplateName | symbol> {
  return select({
    message: 'Which template?',
    options: Object.keys(TEMPLATES)
      .filter((name) => isTemplate(name))
      .map((value) => ({ value, label: value, hint: TEMPLATES[value] })),
    initialValue: DEFAULTS.template,
  })
}
