// The smallest Hocuspocus server that shares documents through Redis, as its documentation describes. It has no storage, so the
// measured time between servers includes none. Arguments: the port of Redis.

import { Redis } from "@hocuspocus/extension-redis";
import { Server } from "@hocuspocus/server";

const redis = new Redis({ host: "127.0.0.1", port: Number(process.argv[2]) });

await new Server({
  address: "127.0.0.1",
  port: Number(process.env.PORT),
  quiet: true,
  extensions: [redis],
}).listen();
