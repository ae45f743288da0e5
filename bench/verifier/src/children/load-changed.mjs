// Loaded before everything else in a worker that is broken on purpose: one file of the product is loaded changed.
import { register } from 'node:module'

register('./load-changed-hooks.mjs', import.meta.url, { data: JSON.parse(process.env.VERIFIER_CHANGE) })
