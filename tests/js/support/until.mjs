// Waiting for a condition, with a deadline and an error that describes the condition.

/** Deadline of any wait. A debug build on two busy cores is slow. */
export const PATIENCE = 20_000;

/** Rejects with a description of the missing event if the promise takes too long. */
export function within(promise, what, patience = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${describe(what)}: not within ${patience} ms`)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * Resolves with the first truthy value of `condition`, which is checked now and after every event of the sources. A
 * source is `[emitter, event, ...]`. `what` describes the condition and the progress: a text, or a function that
 * returns one.
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

/** Polls until the answer is truthy. For conditions without an event. */
export async function eventually(ask, what) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`${describe(what)}: not within ${PATIENCE} ms`);
    await pause(20);
  }
}

/** A pause between two writes that wait for nothing. */
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function describe(what) {
  return typeof what === "function" ? what() : what;
}
