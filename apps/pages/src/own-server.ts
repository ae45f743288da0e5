import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { app } from './app.ts'

// A web application that has a server already: the pages of the app are part of its site, and the worker runs within it.
const server = createServer((incoming, outgoing) => void answer(incoming, outgoing))

async function answer(
  { method = 'GET', url = '/', headers, socket }: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  if (url === '/shop/') {
    outgoing.end('a page of the shop')
    return
  }
  const request = new Request(`http://${headers.host ?? 'localhost'}${url}`, {
    method,
    // With what proxies have added: who may see the built-in pages depends on it.
    headers: Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  })
  const response = await app.web.fetch(request, socket.remoteAddress)
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  outgoing.end(Buffer.from(await response.arrayBuffer()))
}

await app.start()
server.listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1', () => {
  const address = server.address()
  console.log(`The shop is open at http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`)
})
process.once('SIGTERM', () => {
  server.close()
  void app.stop()
})
