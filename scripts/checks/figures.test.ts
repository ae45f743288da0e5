import { expect, test } from 'vitest'
import { figuresOf } from './figures.ts'
import { workspaceOf } from './workspace.ts'

const lines = (count: number, last: string): string => `${'//\n'.repeat(count - 1)}${last}\n`

test('counts what is shipped, and what of it asks for a look', () => {
  const manifest = (name: string): string => JSON.stringify({ name, exports: './src/index.ts' })
  const figures = new Map(
    figuresOf(
      workspaceOf(
        new Map([
          ['packages/worker/package.json', manifest('@millrace/worker')],
          ['packages/worker/README.md', 'First `lib/a/one.ts`, then `lib/b/two.ts` and `lib/a/one.ts` again.'],
          ['packages/worker/src/index.ts', "export { one } from './lib/a/one.ts'\n"],
          [
            'packages/worker/src/lib/a/one.ts',
            "import './two.ts'\nimport '../b/three.ts'\nexport interface OneDeps {}\n",
          ],
          ['packages/worker/src/lib/a/two.ts', "import '../b/three.ts'\nexport class Same {}\n"],
          ['packages/worker/src/lib/b/three.ts', lines(301, "import '../a/two.ts'")],
          ['packages/worker/src/lib/b/three.test.ts', lines(500, '// a test')],
          ['packages/testing/package.json', manifest('@millrace/testing')],
          ['packages/testing/src/index.ts', lines(100, '// more')],
          ['packages/cli/package.json', manifest('@millrace/cli')],
          ['packages/cli/src/index.ts', 'type Same = 1\n'],
          ['packages/core/package.json', manifest('@millrace/core')],
          ['packages/core/src/index.ts', '// Nothing.\n'],
        ]),
      ),
    ),
  )
  expect(Object.fromEntries(figures)).toEqual({
    'lines of the product': 1 + 3 + 2 + 301 + 1 + 1,
    'lines of the engine': 1 + 3 + 2 + 301 + 1,
    'lines of app': 0,
    'files of the product': 6,
    'lines of the median file': 2,
    'files over 300 lines': 1,
    // Imported by the entry alone. `two.ts` has two.
    'files with one importer, under 60 lines': 1,
    'types called Deps or Host': 1,
    'names of types used twice': 1,
    'imports against the way of two folders': 1,
    "files on a record's way": 2,
  })
})
