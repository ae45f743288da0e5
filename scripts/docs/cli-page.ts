import { runCli, type OutputStream } from '@millrace/cli'

/** What the command wrote to its output. */
async function outputOf(words: readonly string[]): Promise<string> {
  let text = ''
  const stdout: OutputStream = { columns: 110, write: (more) => (text += more) }
  const stderr: OutputStream = { write: () => true }
  const here = process.cwd()
  try {
    // Without an app, wherever the docs are generated.
    await runCli(['--no-color', '--workdir', '/', ...words], { terminal: { stdout, stderr, env: {} } })
  } finally {
    process.chdir(here)
  }
  return text.trimEnd()
}

/** `docs/reference/cli.md`: the help of every command. */
export async function cliPage(): Promise<string> {
  const all = await outputOf(['--help'])
  const names = [...all.matchAll(/^ {2}millrace ([a-z][a-z-]*)/gm)].flatMap(([, name]) => name ?? [])
  const sections: string[] = []
  for (const name of names) sections.push(`## ${name}\n\n\`\`\`text\n${await outputOf([name, '--help'])}\n\`\`\`\n`)
  return `# Commands

Generated from the commands themselves; run \`node --import tsx scripts/generate-docs.ts\` after a change there. An app's own commands stand beside these in its \`millrace --help\`.

\`\`\`text
${all}
\`\`\`

${sections.join('\n')}`
}
