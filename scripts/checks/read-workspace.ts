import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { workspaceOf, type Workspace } from './workspace.ts'

const READ = /\.(?:ts|mts|tsx|js|mjs|json|md|ya?ml|html)$/

/** Reads the files that git knows or would take, so that nothing built or installed is looked at. */
export async function readWorkspace(root: string): Promise<Workspace> {
  const { stdout } = await promisify(execFile)(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard', '-z'],
    {
      cwd: root,
      maxBuffer: 64 * 1024 * 1024,
    },
  )
  const paths = stdout.split('\0').filter((path) => path !== '')
  const texts = await Promise.all(
    paths.map(async (path) => [path, READ.test(path) ? await readText(join(root, path)) : ''] as const),
  )
  return workspaceOf(new Map(texts.flatMap(([path, text]) => (text === undefined ? [] : [[path, text] as const]))))
}

/** `undefined` for a file that is deleted and not yet committed so. */
async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
