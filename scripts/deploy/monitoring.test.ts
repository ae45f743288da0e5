import { readFileSync } from 'node:fs'
import { shownMetrics } from '@millrace/reference-pages/metrics'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { checkExpression, seriesOf } from './promql.ts'

const root = new URL('../../', import.meta.url)
const series = seriesOf(await shownMetrics())

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
  readonly datasource?: { readonly uid: string }
}

interface Dashboard {
  readonly panels: readonly Panel[]
  readonly annotations: { readonly list: readonly { readonly expr: string; readonly titleFormat: string }[] }
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly query: Query }[]
  }
}

type Query = string | { readonly query: string }

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity?: string }
  readonly annotations: { readonly summary?: string; readonly runbook?: string }
}

/** With values for the variables that Grafana puts in. */
function filled(expression: string): string {
  return expression.replaceAll('$__rate_interval', '1m').replaceAll('$__range', '1h')
}

/** What is wrong with an expression, and with the text that shows labels of its result. */
function problemsOf(expression: string, ...texts: readonly string[]): readonly string[] {
  const { problems, labels } = checkExpression(filled(expression), series)
  const shown = texts.flatMap((text) => [...text.matchAll(/\{\{\s*(?:\$labels\.)?(?<label>\w+)\s*\}\}/g)])
  const missing = shown
    .map(({ groups }) => groups?.['label'] ?? '')
    .filter((label) => !labels.has(label))
    .map((label) => `the result has no label "${label}"`)
  return problems.length > 0 ? problems : missing
}

describe('expressions', () => {
  test.each([
    ['sum(rate(millrace_errors_total[5m])', /does not parse/],
    ['sum(rate(millrace_error_total[5m]))', /"millrace_error_total" is no metric/],
    ['millrace_agent_event_duration_seconds', /is no metric/],
    ['millrace_ready{agent="a"}', /"millrace_ready" has no label "agent"/],
    ['millrace_job_runs_total{exported_job="a"} + millrace_job_runs_total{kind="b"}', /has no label "kind"/],
    ['sum by (topic) (millrace_agent_lag)', /has no label "topic"/],
    ['sum by (agent) (sum by (instance) (millrace_agent_lag))', /has no label "agent"/],
    ['millrace_agent_lag * on (instance, topic) millrace_ready', /has no label "topic"/],
    ['millrace_agent_lag * on (instance) group_left (agent) millrace_info', /"millrace_info" has no label "agent"/],
  ])('%s is refused', (expression, problem) => {
    expect(problemsOf(expression)).toEqual(expect.arrayContaining([expect.stringMatching(problem)]))
  })

  test('labels that are shown are those of the result', () => {
    const byApp = 'sum by (app) (millrace_agent_lag * on (instance, job) group_left (app) millrace_info) > 1'
    expect(problemsOf(byApp, 'Lag of {{ $labels.app }}: {{ $value | humanize }}')).toEqual([])
    expect(problemsOf(byApp, '{{app}} {{ $labels.agent }}')).toEqual(['the result has no label "agent"'])
    const p99 = 'histogram_quantile(0.99, rate(millrace_commit_duration_seconds_bucket[$__rate_interval]))'
    expect(problemsOf(p99, '{{instance}}')).toEqual([])
    expect(problemsOf(p99, '{{le}}')).toEqual(['the result has no label "le"'])
  })
})

describe('the dashboard', () => {
  const dashboard: Dashboard = JSON.parse(readFileSync(new URL('deploy/grafana/millrace.json', root), 'utf8'))
  const panels = dashboard.panels.filter(({ type }) => type !== 'row')

  test.each(panels.map((panel) => [panel.title, panel] as const))('%s', (title, panel) => {
    expect(title).not.toBe('')
    expect(panel.description ?? '', 'says what it shows').not.toBe('')
    expect(panel.fieldConfig?.defaults.unit ?? '', 'has a unit').not.toBe('')
    expect(panel.datasource?.uid).toBe('${datasource}')
    expect(panel.targets).not.toHaveLength(0)
    for (const { expr, legendFormat } of panel.targets ?? []) {
      expect(problemsOf(expr, legendFormat)).toEqual([])
      expect(expr, 'shows the chosen instances only').toContain('instance=~"$instance"')
    }
  })

  test('panels, rows too, have titles and ids of their own', () => {
    const { panels: all } = dashboard
    expect(all.filter(({ title }) => title === '')).toEqual([])
    for (const key of ['id', 'title'] as const) expect(new Set(all.map((panel) => panel[key])).size).toBe(all.length)
  })

  test('annotations and variables are of metrics that there are', () => {
    for (const { expr, titleFormat } of dashboard.annotations.list) expect(problemsOf(expr, titleFormat)).toEqual([])
    const names = dashboard.templating.list.map(({ name }) => name)
    expect(names).toEqual(['datasource', 'app', 'instance', 'agent'])
    for (const { name, type, query } of dashboard.templating.list) {
      if (type !== 'query' || typeof query === 'string') continue
      const { selector = '', label = '' } =
        /^label_values\((?<selector>.*), (?<label>\w+)\)$/.exec(query.query)?.groups ?? {}
      expect(label).toBe(name)
      expect(problemsOf(selector, `{{${label}}}`)).toEqual([])
    }
  })

  test('shows nearly all that a worker counts', () => {
    const text = JSON.stringify(dashboard)
    const shown = [...series.keys()].filter(
      (name) => name.startsWith('millrace_') && !/_(?:sum|count|bucket)$/.test(name),
    )
    expect(shown.filter((name) => !text.includes(name))).toEqual(
      [
        // Never past: `millrace jobs` and the dashboard at `/` show it better.
        'millrace_job_next_run_timestamp_seconds',
        'millrace_http_requests_active',
        // `millrace_ready` says what an operator needs of it.
        'millrace_worker_status',
      ].toSorted(),
    )
  })
})

describe('the alert rules', () => {
  const rules: { readonly groups: readonly { readonly rules: readonly Alert[] }[] } = parse(
    readFileSync(new URL('deploy/prometheus/alerts.yml', root), 'utf8'),
  )
  const alerts = rules.groups.flatMap((group) => group.rules)
  const page = readFileSync(new URL('docs/guide/alerts.md', root), 'utf8')
  const headings = [...page.matchAll(/^### (?<name>\w+)$/gm)].map(({ groups }) => groups?.['name'])

  test.each(alerts.map((alert) => [alert.alert, alert] as const))(
    '%s',
    (name, { expr, labels, annotations, ...rest }) => {
      const { summary = '', runbook } = annotations
      expect(summary).not.toBe('')
      expect(problemsOf(expr, summary)).toEqual([])
      expect(rest.for).toMatch(/^[1-9]\d*[mh]$/)
      expect(['critical', 'warning']).toContain(labels.severity)
      expect(runbook).toBe(`docs/guide/alerts.md#${name.toLowerCase()}`)
    },
  )

  test('each has its place on the page that says what to do, and nothing else has', () => {
    expect(headings).toEqual(alerts.map(({ alert }) => alert))
  })
})
