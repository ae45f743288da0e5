import { posix } from 'node:path'
import type { Problem } from './problem.ts'
import type { Workspace } from './workspace.ts'

const LINK = /\]\((?<target>[^()\s]+)\)/g
const FENCED = /^```[\s\S]*?^```$/gm
/** A page that code, messages and comments send a reader to. */
const NAMED_PAGE = /(?<![\w/.@-])(?:docs|decisions)\/[\w/-]+\.md\b/g
/** VitePress looks at the links of these. */
const SITE_PAGE = /^docs\/(?!README\.md$)/

const DECISIONS = 'decisions/README.md'

/** Every decision has a line in the index. */
export function checkDecisionIndex({ paths, read }: Workspace): readonly Problem[] {
  const records = [...paths].filter((path) => /^decisions\/\d{3}-[^/]+\.md$/.test(path))
  const linked = new Set(paths.has(DECISIONS) ? linksOf(read(DECISIONS)) : [])
  return records
    .filter((file) => !linked.has(posix.basename(file)))
    .map((file) => ({ file, message: `has no line in ${DECISIONS}` }))
}

/**
 * Links of READMEs and decisions lead to files and headings that exist, and so does every page of `docs` or `decisions` that
 * is named in the sources: in an error's advice, on the dashboard, in a comment.
 */
export function checkLinks({ paths, read }: Workspace): readonly Problem[] {
  const directories = new Set([...paths].flatMap(directoriesOf))
  return [...paths].flatMap((file) => {
    const isMarkdown = file.endsWith('.md')
    // Their paths are those of a made-up repository.
    if (/^scripts\/.*\.test\.ts$/.test(file)) return []
    const text = read(file)
    const links = isMarkdown && !SITE_PAGE.test(file) ? linksOf(text) : []
    const named = isMarkdown ? [] : [...text.matchAll(NAMED_PAGE)].map(([page]) => page)
    return [
      ...links.flatMap((target) => {
        const [path = '', heading] = target.split('#')
        const led = path === '' ? file : posix.join(posix.dirname(file), path).replace(/\/$/, '')
        if (!paths.has(led) && !directories.has(led))
          return [{ file, message: `links to ${target}, which is not there` }]
        return heading === undefined || headingsOf(read(led)).has(heading)
          ? []
          : [{ file, message: `links to ${target}, but there is no such heading` }]
      }),
      ...named
        .filter((page) => !paths.has(page))
        .map((page) => ({ file, message: `sends its reader to ${page}, which is not there` })),
    ]
  })
}

function linksOf(text: string): readonly string[] {
  return [...text.replaceAll(FENCED, '').matchAll(LINK)]
    .flatMap(({ groups }) => groups?.['target'] ?? [])
    .filter((target) => !/^[a-z]+:/.test(target))
}

/** As GitHub and VitePress make them of headings. */
function headingsOf(text: string): ReadonlySet<string> {
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(/\s/g, '-'),
    ),
  )
}

function directoriesOf(path: string): readonly string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, at) => parts.slice(0, at + 1).join('/'))
}
