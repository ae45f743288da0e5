#!/usr/bin/env node
// The command inside the workspace, where nothing is built. Published is dist/bin.js instead.
import { register } from 'tsx/esm/api'

register()
await import('./src/bin.ts')
