// Repeatable random numbers: the seed is printed, and HAPPIERWORK_SEED sets it.

export const SEED = Number(process.env.HAPPIERWORK_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Numbers from 0 up to but excluding 1 (mulberry32). */
export function random(seed = SEED) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
