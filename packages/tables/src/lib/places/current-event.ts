import { MillraceError, type EventScope, type ScopeStorage, type WorkScope } from '@millrace/core'

/** The event in hand that reads see the changes of; `undefined` outside agents and between events. */
export function readingEvent(scope: ScopeStorage): EventScope | undefined {
  const event = scope.getStore()?.event
  return event !== undefined && event.open ? event : undefined
}

/** The event in hand. Throws `NO_CURRENT_EVENT` inside agents, `WRITE_OUTSIDE_AGENT` elsewhere. */
export function writingEvent(scope: ScopeStorage, where: string): EventScope {
  const work = scope.getStore()
  const event = work?.event
  if (event !== undefined && event.open) return event
  throw noEvent(work, where)
}

function noEvent(work: WorkScope | undefined, where: string): MillraceError {
  if (work === undefined || (work.agent === undefined && work.event === undefined)) {
    return new MillraceError('WRITE_OUTSIDE_AGENT', `A write to ${where} outside of any agent.`)
  }
  const agent = work.agent ?? work.event?.agent ?? ''
  return new MillraceError('NO_CURRENT_EVENT', `A write to ${where} in agent "${agent}", with no event in hand.`)
}
