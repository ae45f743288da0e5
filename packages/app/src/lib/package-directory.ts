import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The directory of the nearest package.json at or above a file; the file's own directory when there is none. */
export function packageDirectory(file: string): string {
  const start = dirname(file)
  for (let directory = start; ; directory = dirname(directory)) {
    if (existsSync(join(directory, 'package.json'))) return directory
    if (directory === dirname(directory)) return start
  }
}
