// Makes a fresh clone runnable: installs the dependencies with the pinned pnpm when they are missing or stale.
// Plain JavaScript with node: imports only, because it runs before anything is installed.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const wanted = join(root, 'pnpm-lock.yaml')
const installed = join(root, 'node_modules', '.pnpm', 'lock.yaml')

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Millrace needs Node 20.19 or newer; this is ${process.version}.`)
  process.exit(1)
}

const fresh = existsSync(installed) && readFileSync(wanted).equals(readFileSync(installed))
if (!fresh) {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  console.error(`Installing the dependencies with ${packageManager} …`)
  const result = spawnSync('npx', ['--yes', packageManager, 'install', '--frozen-lockfile'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (result.status !== 0) {
    console.error(`The installation failed${result.error ? `: ${result.error.message}` : ''}.`)
    process.exit(result.status ?? 1)
  }
}
