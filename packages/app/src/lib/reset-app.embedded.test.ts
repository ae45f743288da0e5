import { describe } from 'vitest'
import { resetFlow } from './fixtures/reset-flow.fixture.ts'

describe('reset, on the local log', () => {
  resetFlow((directory) => `embedded:${directory}`)
})
