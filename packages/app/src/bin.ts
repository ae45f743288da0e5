#!/usr/bin/env node
import { runProcess } from '@millrace/cli'

// The command belongs to @millrace/cli. It is repeated here because not every package manager links the commands of
// transitive dependencies.
await runProcess(process.argv.slice(2))
