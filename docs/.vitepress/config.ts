import { readFileSync } from 'node:fs'
import { defineConfig } from 'vitepress'

/** The dashboard's. */
const icon = readFileSync(new URL('../../packages/dashboard/assets/icon.svg', import.meta.url), 'utf8')

export default defineConfig({
  title: 'Millrace',
  description: 'Stream processing for TypeScript, in your own Node.js process',
  cleanUrls: true,
  head: [['link', { rel: 'icon', href: `data:image/svg+xml,${encodeURIComponent(icon)}` }]],
  srcExclude: ['**/README.md'],
  transformPageData(page) {
    // Its tables are wide: no outline beside them, all the room for the page (theme/wide.css).
    if (/^reference\/[^/]+$/.test(page.relativePath))
      Object.assign(page.frontmatter, { aside: false, pageClass: 'wide' })
    if (page.relativePath.startsWith('reference/api/')) page.frontmatter['outline'] = [2, 3]
  },
  // The page of all of core's symbols is larger than Vite likes chunks to be.
  vite: { build: { chunkSizeWarningLimit: 4_000 } },
  themeConfig: {
    search: { provider: 'local' },
    nav: [
      { text: 'Guide', link: '/guide/what-it-is' },
      { text: 'Recipes', link: '/recipes/' },
      { text: 'Reference', link: '/reference/settings' },
    ],
    sidebar: [
      {
        text: 'Begin',
        items: [
          { text: 'What it is, and is not', link: '/guide/what-it-is' },
          { text: 'Five minutes to counts', link: '/guide/five-minutes' },
          { text: 'Kafka, for newcomers', link: '/guide/concepts' },
        ],
      },
      {
        text: 'Build',
        items: [
          { text: 'Topics and agents', link: '/guide/agents' },
          { text: 'Tables', link: '/guide/tables' },
          { text: 'Windows', link: '/guide/windows' },
          { text: 'Joins', link: '/guide/joins' },
          { text: 'Errors and dead letters', link: '/guide/errors' },
          { text: 'Exactly once', link: '/guide/exactly-once' },
          { text: 'Effects outside Kafka', link: '/guide/effects-once' },
          { text: 'Schemas and a registry', link: '/guide/schemas' },
          { text: 'Tasks, timers, cron jobs', link: '/guide/jobs' },
          { text: 'Web', link: '/guide/web' },
          { text: 'Asking from other programs', link: '/guide/http-client' },
          { text: 'Inside Fastify, NestJS and others', link: '/guide/frameworks' },
          { text: 'Command line', link: '/guide/command-line' },
          { text: 'Testing and simulation', link: '/guide/testing' },
          { text: 'Drivers', link: '/guide/drivers' },
        ],
      },
      {
        text: 'Run',
        items: [
          { text: 'Deploying', link: '/guide/deploying' },
          { text: 'Alerts', link: '/guide/alerts' },
          { text: 'Traces and metrics', link: '/guide/observability' },
          { text: 'Upgrading', link: '/guide/upgrading' },
          { text: 'Limits', link: '/guide/limits' },
          { text: 'Questions', link: '/guide/questions' },
        ],
      },
      {
        text: 'Compare',
        items: [
          { text: 'With Faust, Kafka Streams and others', link: '/guide/comparison' },
          { text: 'Coming from Faust', link: '/guide/from-faust' },
          { text: 'Coming from kafkajs', link: '/guide/from-kafkajs' },
        ],
      },
      {
        text: 'Recipes',
        items: [
          { text: 'Ten first programs', link: '/recipes/' },
          { text: 'Six programs by event time', link: '/recipes/time' },
        ],
      },
      {
        text: 'Reference',
        items: [
          { text: 'Settings', link: '/reference/settings' },
          { text: 'Errors', link: '/reference/errors' },
          { text: 'Commands', link: '/reference/cli' },
          { text: 'HTTP endpoints', link: '/reference/http' },
          { text: 'Metrics', link: '/reference/metrics' },
          { text: 'Rights on the broker', link: '/reference/rights' },
          { text: 'Guarantees', link: '/guarantees' },
          { text: 'Packages', link: '/reference/packages' },
          { text: 'Examples', link: '/reference/examples' },
          {
            text: 'API',
            link: '/reference/api/',
            collapsed: true,
            items: ['app', 'core', 'http-client', 'state', 'streams', 'tables', 'testing'].map((name) => ({
              text: `@millrace/${name}`,
              link: `/reference/api/${name}`,
            })),
          },
          { text: 'Architecture', link: '/architecture' },
          { text: 'Words', link: '/glossary' },
          { text: 'The guide page', link: '/guide-page' },
        ],
      },
    ],
  },
})
