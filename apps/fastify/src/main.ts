import { buildServer } from './server.ts'

const server = buildServer()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void server.close())
await server.listen({ port: Number(process.env['PORT'] ?? 3000), host: process.env['HOST'] ?? '127.0.0.1' })
