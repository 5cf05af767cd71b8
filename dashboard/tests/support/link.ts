/** The network between one user and a server: a TCP relay on a port of its own, which can be cut while other users stay connected. */
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Server as NetServer, type Socket } from "node:net"
import type { Server } from "./server"

export class Link {
  #sockets = new Set<Socket>()
  #isCut = false

  private constructor(
    private readonly relay: NetServer,
    readonly port: number,
  ) {}

  static async to(target: Server): Promise<Link> {
    const relay = createServer()
    relay.listen(0, "127.0.0.1")
    await once(relay, "listening")
    const link = new Link(relay, (relay.address() as AddressInfo).port)
    relay.on("connection", (near) => link.#connect(near, target.port))
    return link
  }

  #connect(near: Socket, port: number): void {
    if (this.#isCut) return void near.destroy()
    const far = connect(port, "127.0.0.1")
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket)
      socket.on("error", () => socket.destroy())
      socket.on("close", () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Ends all connections and refuses new ones. */
  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  restore(): void {
    this.#isCut = false
  }

  async close(): Promise<void> {
    this.cut()
    this.relay.close()
    await once(this.relay, "close")
  }
}
