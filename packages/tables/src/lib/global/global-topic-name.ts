/** The topic of a global table: named after app and table unless a name was given. */
export function globalTopicName(appId: string, name: string, given: string | undefined): string {
  return given ?? `${appId}-${name}-global`
}
