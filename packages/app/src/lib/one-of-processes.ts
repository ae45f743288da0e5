import type { ResolvedSettings } from '@millrace/core'
import type { SiblingProcesses } from '@millrace/core/operations'

// What a worker that is one of several processes (`processes`) has for itself.

/** The port of this process for other workers; `undefined` if it is not one of several. */
export function ownPort({ web }: ResolvedSettings, siblings: SiblingProcesses | undefined): number | undefined {
  if (siblings === undefined) return undefined
  return web.processPort === 0 ? 0 : web.processPort + siblings.index
}

/** Several processes have one setting, and a membership each. */
export function instanceOf(
  { instanceId }: ResolvedSettings,
  siblings: SiblingProcesses | undefined,
): { readonly instanceId?: string } {
  return instanceId === undefined || siblings === undefined || siblings.index === 0
    ? {}
    : { instanceId: `${instanceId}-p${siblings.index}` }
}
