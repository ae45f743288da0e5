import { MillraceError, nearestName, type CommandLineApp } from '@millrace/core'

/** Throws `COMMAND_USAGE`, with the nearest name, when the app has no such agent. */
export function requireAgent(app: CommandLineApp, agent: string): void {
  const names = app.describe().agents.map(({ name }) => name)
  if (names.includes(agent)) return
  const nearest = nearestName(agent, names)
  throw new MillraceError(
    'COMMAND_USAGE',
    `The app "${app.id}" has no agent "${agent}".${nearest === undefined ? '' : ` Did you mean "${nearest}"?`}`,
  )
}
