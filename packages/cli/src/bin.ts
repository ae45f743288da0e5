#!/usr/bin/env node
import { runProcess } from './lib/process/run-process.ts'

await runProcess(process.argv.slice(2))
