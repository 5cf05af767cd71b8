// Waiting: always for something, never for long, and with words when it does not come.

/** How long anything may take before a test gives up on it. A debug build on two busy cores is slow. */
export const PATIENCE = 20_000;

/** A promise, or an error that says what did not happen. */
export function within(promise, what, patience = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${describe(what)}: not within ${patience} ms`)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * Resolves with the first truthy value of `condition`, which is looked at now and after every event of the sources.
 * A source is `[emitter, event, ...]`. `what` is a text, or a function that gives one: what was waited for, and how far
 * it got.
 */
export function until(condition, what, ...sources) {
  let stop = () => {};
  const met = new Promise((resolve, reject) => {
    const look = () => {
      try {
        const value = condition();
        if (value) resolve(value);
      } catch (error) {
        reject(error);
      }
    };
    for (const [emitter, ...events] of sources) for (const event of events) emitter.on(event, look);
    stop = () => {
      for (const [emitter, ...events] of sources) for (const event of events) emitter.off(event, look);
    };
    look();
  });
  return within(met, what).finally(() => stop());
}

/** Asks again and again, and resolves with the first truthy answer: for what no event tells. */
export async function eventually(ask, what) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`${describe(what)}: not within ${PATIENCE} ms`);
    await pause(20);
  }
}

/** A pause between two writes of somebody who is not waiting for anything. */
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function describe(what) {
  return typeof what === "function" ? what() : what;
}
