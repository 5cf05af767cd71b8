// The 60 recorded positions, as the old backend kept them.

import path from "node:path";

import { ROOT } from "./program.mjs";

export const RECORDED = path.join(ROOT, "tests/fixtures/legacy/positions.json");
