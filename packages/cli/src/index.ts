/// <reference types="node" preserve="true" />
export { mainCli } from './lib/process/run-process.ts'
export { runCli, type CliOptions } from './lib/run-cli.ts'
export { runProcess } from './lib/process/run-process.ts'
export type { OutputStream, Terminal } from './lib/output/terminal.ts'
