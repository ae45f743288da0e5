/** Package managers that a project can be made for. */
export const INSTALLERS = ['npm', 'pnpm', 'yarn'] as const

export type Installer = (typeof INSTALLERS)[number]

export function isInstaller(text: string): text is Installer {
  return INSTALLERS.some((name) => name === text)
}

/**
 * The package manager that runs this program, from the `npm_config_user_agent` that it sets.
 *
 * @example callingInstaller('pnpm/12.21.0 npm/? node/v22.0.0') // 'pnpm'
 */
export function callingInstaller(userAgent: string | undefined): Installer {
  const name = userAgent?.split('/', 1)[0] ?? ''
  return isInstaller(name) ? name : 'npm'
}

/** Files that a package manager needs besides package.json. */
export function filesFor(pm: Installer): ReadonlyMap<string, string> {
  if (pm === 'pnpm')
    return new Map([
      [
        'pnpm-workspace.yaml',
        `# These bring prebuilt binaries as packages of their own: nothing is compiled at install.
allowBuilds:
  esbuild: false
  lmdb: false
  msgpackr-extract: false
`,
      ],
    ])
  if (pm === 'yarn') return new Map([['.yarnrc.yml', 'nodeLinker: node-modules\n']])
  return new Map()
}

/** Our text uses `npm run x` and `npx x`; replaces them by what a user of `pm` types. */
export function spokenBy(pm: Installer, text: string): string {
  if (pm === 'npm') return text
  const exec = pm === 'pnpm' ? 'pnpm exec ' : 'yarn run '
  return text.replaceAll(/\bnpm run /g, `${pm} run `).replaceAll(/\bnpx /g, exec)
}
