import { storeSuite } from '@millrace/conformance'
import { memoryStore } from './memory-store.ts'

storeSuite({ name: 'memory', create: () => ({ open: memoryStore, remove: () => {} }) })
