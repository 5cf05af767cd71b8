// Ports for servers that cannot listen on port 0, because somebody must know the port before they start or after they restart.
//
// The operating system gives ports of its own range (from 32768 on Linux, 49152 elsewhere) to every listener on port 0 and every
// outgoing connection, so a port of that range that is free now may be used a moment later. These ports are below it, and each
// test process has its own block. tests/support/ports.rs does the same.

import { createServer } from "node:net";

const FIRST = 10_240;
const BLOCKS = 352;
const BLOCK = 64;

let next = 0;

/** A port of 127.0.0.1 that nothing listens on, and that this process has not given away recently. */
export async function freePort() {
  for (let tries = 0; tries < BLOCK; tries += 1) {
    const port = FIRST + (process.pid % BLOCKS) * BLOCK + (next++ % BLOCK);
    if (await isFree(port)) return port;
  }
  throw new Error(`none of ${BLOCK} ports is free`);
}

function isFree(port) {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", (error) => (error.code === "EADDRINUSE" ? resolve(false) : reject(error)));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
