#!/usr/bin/env node
// The command inside the workspace, where nothing is built: TypeScript is read as it is. Published is dist/bin.js instead.
import { register } from 'tsx/esm/api'

register()
await import('./src/bin.ts')
