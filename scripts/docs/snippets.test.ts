import { describe, expect, test } from 'vitest'
import { hiddenSetups, lineInPage, snippetsOf } from './snippets.ts'

const page = `# Page

Text.

<!-- setup
const a = 1
const b = 2
-->
\`\`\`ts
a + b
\`\`\`

\`\`\`ts app file=app.ts
export const app = 1
\`\`\`

\`\`\`sh
no code of ours
\`\`\`

\`\`\`ts test
test()
\`\`\`

\`\`\`ts program kafka
await run()
\`\`\`
`

describe('the blocks of a page', () => {
  const snippets = snippetsOf('docs/page.md', page)

  test('are found with kind, name and setup', () => {
    expect(snippets).toEqual([
      {
        page: 'docs/page.md',
        line: 10,
        kind: 'part',
        needsKafka: false,
        file: 'block-1.ts',
        setup: 'const a = 1\nconst b = 2\n',
        code: 'a + b\n',
      },
      {
        page: 'docs/page.md',
        line: 14,
        kind: 'app',
        needsKafka: false,
        file: 'app.ts',
        setup: '',
        code: 'export const app = 1\n',
      },
      {
        page: 'docs/page.md',
        line: 22,
        kind: 'test',
        needsKafka: false,
        file: 'block-3.ts',
        setup: '',
        code: 'test()\n',
      },
      {
        page: 'docs/page.md',
        line: 26,
        kind: 'program',
        needsKafka: true,
        file: 'block-4.ts',
        setup: '',
        code: 'await run()\n',
      },
    ])
  })

  test('a line of the module is a line of the page', () => {
    const [part, app] = snippets
    expect(part === undefined ? 0 : lineInPage(part, 3)).toBe(10)
    expect(part === undefined ? 0 : lineInPage(part, 1)).toBe(10)
    expect(app === undefined ? 0 : lineInPage(app, 1)).toBe(14)
  })
})

test('a README may not hide what its blocks need, a page of the guide may', () => {
  expect(hiddenSetups(snippetsOf('packages/web/README.md', page))).toEqual([
    "packages/web/README.md:10 The block has a hidden setup: a README's block stands alone.",
  ])
  expect(hiddenSetups(snippetsOf('docs/page.md', page))).toEqual([])
})
