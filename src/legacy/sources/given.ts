import { isObject } from "./cookie.js";

/**
 * Checks what the application hands in of a library that takes its options alone.
 *
 * @throws TypeError for anything but the library's function and a store of its kind
 */
export function checkGiven(
  { caller, library }: { caller: string; library: string },
  session: unknown,
  store: unknown,
): void {
  const refuse = (problem: string): never => {
    throw new TypeError(`${caller}: ${problem}`);
  };
  const nothing = { get: () => undefined, set: () => undefined, destroy: () => undefined };
  const made: unknown =
    typeof session === "function" && (session as (options: object) => unknown)({ store: nothing });
  if (typeof made !== "function") {
    // A ready middleware answers with a promise, which fails.
    Promise.resolve(made).catch(() => undefined);
    refuse(`the first argument must be the function that ${library} exports, not called`);
  }
  if (store === undefined || store === null) {
    refuse(
      `store is missing; without one ${library} keeps sessions in the memory of the process, where nothing can be carried over from`,
    );
  }
  const isStore = ["get", "set", "destroy"].every(
    (name) => isObject(store) && typeof store[name] === "function",
  );
  if (!isStore) refuse("store must have the functions get, set and destroy");
}
