export { Engine, type EngineOptions } from './engine.ts'
export { Taker, type TakerOptions } from './taker.ts'
