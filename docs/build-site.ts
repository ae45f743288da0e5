// Builds the site: the API reference from the sources, then all pages. `--api` writes the API reference only.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Application, Converter, ReflectionKind } from 'typedoc'
import type { PluginOptions } from 'typedoc-plugin-markdown'
import { build } from 'vitepress'

const docs = fileURLToPath(new URL('.', import.meta.url))
const packages = join(docs, '../packages')

/** A symbol that several packages export has its place in the first of them; the others refer to it. */
const DOCUMENTED = [
  'app',
  'core',
  'http-client',
  'schema-registry',
  'sensor-otel',
  'state',
  'streams',
  'tables',
  'testing',
]

await writeApi(join(docs, 'reference/api'))
if (!process.argv.includes('--api')) await build(docs)

async function writeApi(directory: string): Promise<void> {
  const markdown: Partial<PluginOptions> = {
    entryFileName: 'index.md',
    outputFileStrategy: 'modules',
    hideBreadcrumbs: true,
    hidePageHeader: true,
    pageTitleTemplates: { index: 'API', module: '@millrace/{name}', member: '{name}' },
    // A page is a Vue template.
    sanitizeComments: true,
  }
  const typedoc = await Application.bootstrapWithPlugins({
    plugin: ['typedoc-plugin-markdown'],
    tsconfig: join(docs, 'tsconfig.api.json'),
    entryPoints: DOCUMENTED.map((name) => join(packages, name, 'src/index.ts')),
    basePath: packages,
    out: directory,
    readme: 'none',
    disableSources: true,
    excludePrivate: true,
    excludeProtected: true,
    excludeInternal: true,
    excludeExternals: true,
    // `pnpm check types` has found them all.
    skipErrorChecking: true,
    logLevel: 'Warn',
    ...markdown,
  })
  // Modules are called as their packages are, not as the files of their entries.
  typedoc.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? []) module.name = module.name.replace(/\/src$/, '')
    // Parameters that are taken apart where they come in have no name of their own.
    for (const parameter of project.getReflectionsByKind(ReflectionKind.Parameter))
      parameter.name = parameter.name.replace(/^__namedParameters/, 'options')
  })
  const project = await typedoc.convert()
  if (project === undefined) throw new Error('The API reference could not be made: TypeDoc says why above.')
  await typedoc.generateOutputs(project)
  if (typedoc.logger.hasErrors()) throw new Error('The API reference has errors: TypeDoc names them above.')
}
