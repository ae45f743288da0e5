/** The templates: each is a folder of `templates` with a complete project. */
export const TEMPLATES = {
  minimal: 'one agent, one table, one page, one test',
  windows: 'event time: visits as session windows, views by the minute, late events',
  'word-count': 'agents, a table, a timer, a cron job on the leader, pages, a command of its own',
  orders: 'schemas, enrichment, retries and dead letters, exactly once; Docker, Kubernetes, a test on Kafka',
} as const

export type TemplateName = keyof typeof TEMPLATES

/** @example isTemplate('minimal') // true */
export function isTemplate(text: string): text is TemplateName {
  return Object.hasOwn(TEMPLATES, text)
}
