/** A reverse proxy that serves a server below a path prefix, as nginx does with the snippet in docs/operations.md. */
import { once } from "node:events"
import { createServer, type Server as HttpServer, type IncomingMessage, request } from "node:http"
import type { Server } from "./server"

const PREFIX = "/plan/"

export class PrefixProxy {
  private constructor(
    private readonly http: HttpServer,
    readonly port: number,
  ) {}

  static async start(target: Server): Promise<PrefixProxy> {
    const ask = ({ url = "/", method, headers }: IncomingMessage) =>
      request({
        port: target.port,
        host: "127.0.0.1",
        method,
        path: `/${url.slice(PREFIX.length)}`,
        headers: { ...headers, host: "localhost" },
      })
    const http = createServer((incoming, outgoing) => {
      if (!incoming.url?.startsWith(PREFIX)) {
        outgoing.writeHead(404).end("not below the prefix")
        return
      }
      const asked = ask(incoming)
      asked.on("response", (response) => {
        const headers = { ...response.headers }
        // `proxy_redirect / /plan/`
        if (headers.location?.startsWith("/")) headers.location = PREFIX + headers.location.slice(1)
        outgoing.writeHead(response.statusCode ?? 502, headers)
        response.pipe(outgoing)
      })
      asked.on("error", () => {
        if (!outgoing.headersSent) outgoing.writeHead(502)
        outgoing.end()
      })
      incoming.pipe(asked)
    })
    http.on("upgrade", (incoming, socket) => {
      socket.on("error", () => socket.destroy())
      if (!incoming.url?.startsWith(PREFIX)) return socket.destroy()
      const asked = ask(incoming)
      asked.on("error", () => socket.destroy())
      asked.on("response", () => socket.destroy())
      asked.on("upgrade", (response, beyond, head) => {
        const fields = response.rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${response.rawHeaders[at + 1]}`] : []))
        socket.write(`HTTP/1.1 101 Switching Protocols\r\n${fields.join("\r\n")}\r\n\r\n`)
        if (head.length > 0) socket.write(head)
        beyond.on("error", () => socket.destroy())
        beyond.on("close", () => socket.destroy())
        socket.on("close", () => beyond.destroy())
        beyond.pipe(socket).pipe(beyond)
      })
      asked.end()
    })
    http.listen(0, "127.0.0.1")
    await once(http, "listening")
    return new PrefixProxy(http, (http.address() as { port: number }).port)
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}${PREFIX}`
  }

  async close(): Promise<void> {
    this.http.closeAllConnections()
    this.http.close()
    await once(this.http, "close")
  }
}
