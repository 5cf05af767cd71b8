// The 60 recorded positions, in the format of the old backend.

import path from "node:path";

import { ROOT } from "./program.mjs";

export const RECORDED = path.join(ROOT, "tests/fixtures/legacy/positions.json");
