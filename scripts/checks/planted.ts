import { workspaceOf, type Workspace } from './workspace.ts'

/** A workspace in which everything is in order, with files added or replaced: for tests that plant a breach. */
export function planted(files: Readonly<Record<string, string>> = {}): Workspace {
  const sound: Record<string, string> = {
    ...library('core', {}),
    ...library('streams', { dependencies: ['core'] }),
    ...library('state', { dependencies: ['core'], devDependencies: ['conformance'] }),
    ...library('tables', { dependencies: ['core', 'state'] }),
    ...library('conformance', { dependencies: ['core'] }),
    ...library('app', { dependencies: ['core', 'streams', 'tables'] }),
    ...library('testing', { dependencies: ['core', 'app'] }),
    'docs/reference/packages.md': ['core', 'streams', 'state', 'tables', 'conformance', 'app', 'testing']
      .map((name) => `\`@millrace/${name}\`\n`)
      .join(''),
    'apps/demo/package.json': packageJson('demo', { dependencies: ['app'] }),
    'apps/demo/README.md': LONG,
    'apps/demo/src/app.ts': "import { anything } from '@millrace/app'\nexport const app = anything\n",
  }
  return workspaceOf(new Map(Object.entries({ ...sound, ...files })))
}

const LONG = '# A package\n\n'.padEnd(400, 'What it is, and how it is used. ')

interface Dependencies {
  readonly dependencies?: readonly string[]
  readonly devDependencies?: readonly string[]
}

/** package.json of a package under `@millrace/`. */
export function packageJson(name: string, { dependencies = [], devDependencies = [] }: Dependencies): string {
  const section = (names: readonly string[]): Record<string, string> =>
    Object.fromEntries(names.map((each) => [`@millrace/${each}`, 'workspace:^']))
  return JSON.stringify({
    name: `@millrace/${name}`,
    description: 'Something',
    exports: { '.': './src/index.ts' },
    dependencies: section(dependencies),
    devDependencies: section(devDependencies),
  })
}

function library(name: string, dependencies: Dependencies): Record<string, string> {
  const imports = (dependencies.dependencies ?? [])
    .map((each, at) => `import type { Thing${at} } from '@millrace/${each}'\n`)
    .join('')
  return {
    [`packages/${name}/package.json`]: packageJson(name, dependencies),
    [`packages/${name}/README.md`]: LONG,
    [`packages/${name}/src/index.ts`]:
      "export { anything } from './lib/anything.ts'\nexport type { Thing } from './lib/thing.ts'\n",
    [`packages/${name}/src/lib/anything.ts`]: `${imports}export const anything = 1\n`,
    [`packages/${name}/src/lib/thing.ts`]: 'export interface Thing {}\n',
    [`packages/${name}/src/lib/anything.test.ts`]: "import { anything } from './anything.ts'\n",
  }
}
