import { createApp } from '@millrace/app'
import { markdownTable } from './markdown-table.ts'

/** What `GET /` lists of each page. */
interface Listed {
  readonly path: string
  readonly methods: readonly string[]
  readonly builtIn: boolean
  readonly open: boolean
  readonly help?: string
}

/** `docs/reference/http.md`: the pages that every site has, as they declare themselves. */
export async function httpPage(): Promise<string> {
  const pages = (await listed()).filter(({ builtIn }) => builtIn)
  const nameless = pages.find(({ help = '' }) => help === '')
  if (nameless !== undefined) throw new Error(`The built-in page ${nameless.path} does not say what it is for.`)
  const acts = ({ methods }: Listed): boolean => methods.includes('POST')
  const row = ({ path, help = '', open }: Listed): string[] => [
    `\`${path.replaceAll(/:(\w+)/g, '{$1}')}\``,
    open ? `${help} Open to everybody.` : help,
  ]
  return `# HTTP endpoints

Generated from the declarations of the pages in \`packages/web\` and \`packages/dashboard\`; run \`node --import tsx scripts/generate-docs.ts\` after a change there. A worker serves them at \`web.host\` and \`web.port\`, beside the pages of the app; \`GET /\` lists all of them as JSON, this text with them. The settings are in [Settings](settings.md).

## Who may see it

Pages of the app, those marked as open below, and \`/metrics\` while \`web.openMetrics\` is on answer everybody. The others show data: with \`web.token\` they ask for it, as \`Authorization: Bearer …\` or as the session that the form at \`/sign-in/\` gives a browser (401 otherwise); without it they answer this machine alone, under a name that means it (403 otherwise). What a worker passes on to another one it signs: what is let in at the first is let in at the second. \`web.builtIn: false\` leaves them out.

## What is asked

GET, and HEAD; OPTIONS tells the methods. A slash at the end makes no difference. Errors are \`{ "error": "…" }\` with a status that fits.

${markdownTable(['Path', 'What it answers'], pages.filter((page) => !acts(page)).map(row))}
Values without a JSON form: bytes are base64, sets and maps arrays, big integers text.

## What is done

POST with a header \`millrace-action\` (any value), by whoever may see the pages, unless \`web.admin\` is off. 403 to what a browser sends from another site: its \`Origin\` must be localhost, \`web.advertise\` or one of \`web.hosts\`. Each is a line of the log: what, by whom, and what came of it.

${markdownTable(['Path', 'What it does'], pages.filter(acts).map(row))}`
}

async function listed(): Promise<readonly Listed[]> {
  const { web } = createApp({ id: 'http', broker: 'memory:' })
  const answer = await web.fetch(
    new Request('http://localhost/', { headers: { accept: 'application/json' } }),
    '127.0.0.1',
  )
  const { pages } = JSON.parse(await answer.text()) as { pages: readonly Listed[] }
  return pages
}
