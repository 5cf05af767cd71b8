// Tests that cannot run in every mode. Other modes report them as skipped, with the reason.

import { test } from "node:test";

import { SERVERS } from "./server.mjs";

/** A test that needs one server with files of its own. */
export const testOfFiles = SERVERS > 1 ? skipped("about the files of one server") : test;

/** A test that starts servers of its own, so it runs in one mode only. */
export const testOfOwnServers = SERVERS > 1 ? skipped("starts servers of its own, and runs with one server") : test;

/** A test in which clients receive the heads in the storages of other clients. */
export const testOfStorages = SERVERS > 1 ? skipped("the heads of other clients' storages do not reach other servers") : test;

function skipped(reason) {
  return (name, run) => test(name, { skip: reason }, run);
}
