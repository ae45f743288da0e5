import { readFileSync } from 'node:fs'

/** The text that ships with the example, one post a paragraph. */
export function bookPosts(): readonly string[] {
  const file = new URL('../text/moby-dick.txt', import.meta.url)
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
}
