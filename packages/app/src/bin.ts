#!/usr/bin/env node
import { runProcess } from '@millrace/cli'

// The command belongs to @millrace/cli; it is offered here too, because not every package manager links the commands of a dependency's dependencies.
await runProcess(process.argv.slice(2))
