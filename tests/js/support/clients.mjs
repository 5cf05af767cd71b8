// The clients of the server: stock automerge-repo, plain Automerge sync, legacy JSON, REST.

import { EventEmitter, once } from "node:events";

import * as Automerge from "@automerge/automerge";
import { Repo, cbor, decodeHeads, encodeHeads } from "@automerge/automerge-repo";
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket";
import WebSocket from "ws";

import { MemoryStorage } from "./storage.mjs";
import { until, within } from "./until.mjs";

/** Delay before a client reconnects, in milliseconds. (The stock default is 5 s.) */
const COMES_BACK = 100;

/** A stock automerge-repo client. It reconnects by itself, as stock clients do. */
export function repoClient(server, { path = "/sync", storage = false, gossip = false, peerId } = {}) {
  const adapter = new WebSocketClientAdapter(server.ws(path), COMES_BACK);
  const repo = new Repo({
    network: [adapter],
    storage: storage ? new MemoryStorage() : undefined,
    enableRemoteHeadsGossiping: gossip,
    ...(peerId && { peerId }),
  });
  const client = new RepoClient(repo, adapter);
  server.clients.push(client);
  return client;
}

class RepoClient {
  constructor(repo, adapter) {
    this.repo = repo;
    this.adapter = adapter;
    this.servers = [];
    adapter.on("peer-candidate", ({ peerId, peerMetadata }) => this.servers.push({ peerId, ...peerMetadata }));
  }

  /** The document, once this client has it. */
  async find(url) {
    // A stock client reports a document as unavailable if no server is connected within a second.
    await this.server();
    return within(this.repo.find(url), `an automerge-repo client to find ${url}`);
  }

  /** The server's last `peer` message. */
  async server() {
    await until(() => this.servers.length > 0, "the server's `peer` message", [this.adapter, "peer-candidate"]);
    return this.servers.at(-1);
  }

  /** Waits until the server has acknowledged all changes of this document. */
  async saved(handle) {
    const { storageId } = await this.server();
    const same = () => String(handle.getSyncInfo(storageId)?.lastHeads) === String(handle.heads());
    await until(same, "the server to have all changes of an automerge-repo client", [handle, "remote-heads", "change"]);
  }

  /** Hashes of the document's changes that the server has not acknowledged. */
  unconfirmed(handle) {
    const heads = this.servers.flatMap(({ storageId }) => handle.getSyncInfo(storageId)?.lastHeads ?? []);
    return changesBeyond(handle.doc(), decodeHeads(heads));
  }

  disconnect() {
    this.repo.networkSubsystem.disconnect();
  }

  reconnect() {
    this.repo.networkSubsystem.reconnect();
  }

  close() {
    leave(this.adapter);
  }
}

/** Ends a stock adapter for good. Otherwise it would reconnect, and throw if it is just connecting. */
export function leave(adapter) {
  adapter.connect = () => {};
  adapter.socket?.addEventListener("error", () => {});
  if (adapter.socket) adapter.disconnect();
}

/** Hashes of the document's changes that are neither among these heads nor their ancestors. */
function changesBeyond(doc, heads) {
  const known = [...new Set(heads)].filter((head) => Automerge.hasHeads(doc, [head]));
  return new Set(Automerge.getChangesMetaSince(doc, known).map((change) => change.hash));
}

/** Waits until a handle's document satisfies `condition`. */
export function untilDocument(handle, condition, what) {
  return until(() => condition(handle.doc()), what, [handle, "change", "heads-changed"]);
}

/** A client of plain Automerge sync, like a binding without automerge-repo. */
export async function plainClient(server, documentId, { comesBack = false } = {}) {
  const client = new PlainClient(server, documentId, comesBack);
  server.clients.push(client);
  await client.connect();
  return client;
}

class PlainClient extends EventEmitter {
  constructor(server, documentId, comesBack) {
    super();
    this.server = server;
    this.documentId = documentId;
    this.comesBack = comesBack;
    this.doc = Automerge.init();
    this.offline();
  }

  offline() {
    if (this.sync?.theirHeads) this.lastHeads = this.sync.theirHeads;
    this.socket = undefined;
    this.sync = Automerge.initSyncState();
  }

  async connect() {
    const socket = new WebSocket(this.server.ws(`/sync/${this.documentId}`));
    socket.binaryType = "nodebuffer";
    socket.on("message", (data) => this.receive(socket, data));
    socket.on("error", () => {});
    socket.on("close", (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      if (this.socket === socket) this.offline();
      this.emit("news");
      if (this.comesBack && !this.over) {
        setTimeout(() => !this.over && this.connect().catch(() => {}), COMES_BACK);
      }
    });
    // In the turn in which the socket opens: the server's first message may arrive in the next.
    socket.once("open", () => {
      this.socket = socket;
      this.sync = Automerge.initSyncState();
      this.talk();
    });
    await within(once(socket, "open"), "a plain-sync socket to open");
  }

  receive(socket, data) {
    if (socket !== this.socket) return;
    [this.doc, this.sync] = Automerge.receiveSyncMessage(this.doc, this.sync, new Uint8Array(data));
    this.talk();
    this.emit("news");
  }

  talk() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const [sync, message] = Automerge.generateSyncMessage(this.doc, this.sync);
    this.sync = sync;
    if (message) this.socket.send(message);
  }

  change(change) {
    this.doc = Automerge.change(this.doc, change);
    this.talk();
    this.emit("news");
  }

  until(condition, what) {
    return until(() => condition(this.doc), what, [this, "news"]);
  }

  /** Waits until the server has acknowledged all local changes. */
  saved() {
    const same = () => {
      const mine = Automerge.getHeads(this.doc);
      return mine.length > 0 && String(this.sync.theirHeads) === String(mine);
    };
    return until(same, "the server to have all changes of a plain-sync client", [this, "news"]);
  }

  /** Hashes of local changes that the server has not acknowledged. */
  unconfirmed() {
    return changesBeyond(this.doc, this.sync.theirHeads ?? this.lastHeads ?? []);
  }

  disconnect() {
    this.socket?.close();
    this.offline();
  }

  close() {
    this.over = true;
    this.socket?.terminate();
  }
}

/** A legacy client: JSON frames, and the table that the old web page builds from them. */
export async function legacyClient(server, { path = "/ws/dashboard/", comesBack = false } = {}) {
  const client = new LegacyClient(server, path, comesBack);
  server.clients.push(client);
  await client.connect();
  return client;
}

class LegacyClient extends EventEmitter {
  constructor(server, path, comesBack) {
    super();
    this.server = server;
    this.path = path;
    this.comesBack = comesBack;
    this.frames = [];
    this.waiting = [];
  }

  async connect() {
    const socket = new WebSocket(this.server.ws(this.path));
    socket.on("message", (data, binary) => this.receive(binary ? null : JSON.parse(data.toString())));
    socket.on("error", () => {});
    socket.on("close", () => {
      for (const { reject, designation } of this.waiting.splice(0)) {
        reject(new Error(`the socket closed before ${designation} was acknowledged`));
      }
      this.socket = undefined;
      this.emit("news");
      if (this.comesBack && !this.over) {
        setTimeout(() => !this.over && this.connect().catch(() => {}), COMES_BACK);
      }
    });
    socket.once("open", () => {
      this.socket = socket;
      this.emit("news");
    });
    await within(once(socket, "open"), "a legacy socket to open");
  }

  receive(frame) {
    if (frame === null) throw new Error("a legacy client got a binary frame");
    this.frames.push(frame);
    if (frame.error && this.waiting.length > 0) this.waiting[0].error = frame.error;
    if (frame.status === "Data processed") {
      const { resolve, reject, error } = this.waiting.shift();
      if (error) reject(new Error(error));
      else resolve();
    }
    this.emit("news");
  }

  /** Sends a request as the old web page does: JSON text in a JSON string. Resolves when it is acknowledged. */
  request(...items) {
    return new Promise((resolve, reject) => {
      if (!this.socket) return reject(new Error("this legacy client is offline"));
      this.waiting.push({ resolve, reject, designation: items[1] });
      this.socket.send(JSON.stringify(JSON.stringify(items)));
    });
  }

  add(designation, { department = "Engineering", budget = "12", location = "Pune" } = {}) {
    const acknowledged = this.request("add", designation, department, budget, location);
    return within(acknowledged, `the acknowledgement of a legacy add of ${designation}`);
  }

  delete(id) {
    return within(this.request("delete", id), `the acknowledgement of a legacy delete of ${id}`);
  }

  get entries() {
    return this.frames.flatMap((frame) => (frame.entry ? [frame.entry] : []));
  }

  /** The rows that the old web page would show, starting with these. */
  table(rows = []) {
    let table = [...rows];
    for (const { entry, deleted_id: deleted } of this.frames) {
      if (entry) table.unshift(entry);
      else if (deleted) table = table.filter((row) => row.id !== deleted);
    }
    return table;
  }

  until(condition, what) {
    return until(() => condition(this), what, [this, "news"]);
  }

  /** The first `entry` frame that satisfies `condition`. */
  entry(condition, what) {
    return this.until(() => this.entries.find(condition), `a legacy entry frame: ${what}`);
  }

  close() {
    this.over = true;
    this.socket?.terminate();
  }
}

/** A socket that sends given frames, for tests of misbehaviour. */
export async function rawSocket(server, path = "/sync", options = {}) {
  const socket = new RawSocket(new WebSocket(server.ws(path), options));
  server.clients.push(socket);
  await within(once(socket.socket, "open"), "a raw socket to open");
  return socket;
}

class RawSocket extends EventEmitter {
  constructor(socket) {
    super();
    this.socket = socket;
    this.messages = [];
    socket.on("message", (data, binary) => {
      this.messages.push(binary ? decode(data) : JSON.parse(data.toString()));
      this.emit("news");
    });
    socket.on("error", (error) => (this.error = error));
    socket.on("close", (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.emit("news");
    });
  }

  /** Sends an automerge-repo message. */
  send(message) {
    this.socket.send(cbor.encode(message));
  }

  close() {
    this.socket.terminate();
  }

  async join(senderId, peerMetadata = { isEphemeral: true }) {
    this.peerId = senderId;
    this.send({ type: "join", senderId, peerMetadata, supportedProtocolVersions: ["1"] });
    return this.message("peer");
  }

  /** The first message of a type. */
  message(type, condition = () => true) {
    const found = () => this.messages.find((message) => message.type === type && condition(message));
    return until(found, () => `a message ${type}; there were ${JSON.stringify(this.messages)}`, [this, "news"]);
  }

  /** Waits until the server closes the socket. Returns how. */
  end() {
    return until(() => this.closed, "the server to close a socket", [this, "news"]);
  }
}

/** An automerge-repo message, if the frame is one. Frames of plain sync are not. */
function decode(data) {
  try {
    return cbor.decode(new Uint8Array(data));
  } catch {
    return new Uint8Array(data);
  }
}

/** The REST surface. */
export function rest(server) {
  const ask = (method, path, body) =>
    fetch(server.http(path), {
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(20_000),
    });
  return {
    get: (path) => ask("GET", path),
    post: (path, body) => ask("POST", path, body),
    put: (path, body) => ask("PUT", path, body),
    delete: (path) => ask("DELETE", path),
    /** The rows of `GET /data/`. */
    async rows() {
      const answer = await ask("GET", "/data/");
      if (answer.status !== 200) throw new Error(`GET /data/ answers ${answer.status}: ${await answer.text()}`);
      return answer.json();
    },
  };
}

export { encodeHeads };
