import { codeOnly } from './code-only.ts'
import type { Problem } from './problem.ts'
import { isLibrary, type Workspace, type WorkspacePackage } from './workspace.ts'

const LEAST_README = 300
const PACKAGES_PAGE = 'docs/reference/packages.md'
const NO_TESTS = '!dist/**/*.test.*'
const NO_FIXTURES = ['!dist/**/*.fixture.*', '!src/**/*.fixture.ts'] as const

/** No package without a README, a description, a line in the docs, code and a test. */
export function checkShells(workspace: Workspace): readonly Problem[] {
  return workspace.packages.flatMap((each) => [
    ...(isForPeople(each) ? checkReadme(each, workspace) : []),
    ...(isLibrary(each) ? checkContents(each, workspace) : []),
  ])
}

/** What only the tests use explains itself in its code. */
function isForPeople({ directory }: WorkspacePackage): boolean {
  return !directory.startsWith('scripts/')
}

function checkReadme({ directory }: WorkspacePackage, { paths, read }: Workspace): readonly Problem[] {
  const file = `${directory}/README.md`
  if (!paths.has(file)) return [{ file, message: 'is missing' }]
  return read(file).length < LEAST_README ? [{ file, message: 'says next to nothing' }] : []
}

function checkContents(
  { name, directory, description, entries, published }: WorkspacePackage,
  { files, paths, read }: Workspace,
): readonly Problem[] {
  const problem = (message: string): Problem => ({ file: `${directory}/package.json`, message: `${name} ${message}` })
  const own = files.filter(({ path }) => path.startsWith(`${directory}/src/`))
  const isEmpty = own
    .filter(({ isTest }) => !isTest)
    .every(
      ({ text }) =>
        codeOnly(text)
          .code.replace(/export\s*\{\s*\}/g, '')
          .trim() === '',
    )
  return [
    ...(read(PACKAGES_PAGE).includes(`\`${name}\``) ? [] : [problem(`has no line in ${PACKAGES_PAGE}`)]),
    ...(description.trim() === '' ? [problem('has no description')] : []),
    ...(published.includes('dist') && !published.includes(NO_TESTS)
      ? [problem(`publishes its compiled tests: add "${NO_TESTS}" to files`)]
      : []),
    ...(published.includes('src') && own.some(({ path }) => shipsFixture(path.slice(directory.length + 1), published))
      ? [
          problem(
            `publishes fixtures of its tests: add ${NO_FIXTURES.map((each) => `"${each}"`).join(' and ')} to files`,
          ),
        ]
      : []),
    ...(entries.length === 0 ? [problem('has no exports')] : []),
    ...entries.filter((entry) => !paths.has(entry)).map((entry) => problem(`exports ${entry}, which does not exist`)),
    ...(isEmpty ? [problem('is an empty shell')] : []),
    ...(own.some(({ isTest }) => isTest) ? [] : [problem('has no test')]),
  ]
}

/** Whether a file that only tests use would be published, as a source or compiled. */
function shipsFixture(path: string, published: readonly string[]): boolean {
  if (!/\/fixtures\/|\.fixture\./.test(path)) return false
  const inside = path.slice('src/'.length)
  const isLeftOut = (root: string): boolean =>
    published.some(
      (pattern) =>
        (/\.fixture\./.test(path) && pattern.startsWith(`!${root}/**/*.fixture.`)) ||
        (pattern.startsWith(`!${root}/`) && `${root}/${inside}`.startsWith(`${pattern.slice(1)}/`)),
    )
  return !isLeftOut('src') || !isLeftOut('dist')
}
