/** Replacing one method of a class for the life of a process: how points and planted faults get into a runtime without hooks. */

/** `make` gets the method that was there, and makes the one that takes its place. */
export function replace<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  make: (before: T[K]) => T[K],
): void {
  prototype[name] = make(prototype[name]);
}

type Method = (this: unknown, ...args: never[]) => unknown;

/** Calls `before` ahead of the method. */
export function ahead<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  before: (self: T, args: readonly unknown[]) => void,
): void {
  replace(
    prototype,
    name,
    (method) =>
      function (this: T, ...args: never[]) {
        before(this, args);
        return (method as Method).apply(this, args);
      } as T[K],
  );
}

/** Calls `after` when the method has returned, or when what it returned is settled. */
export function behind<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  after: (self: T, args: readonly unknown[]) => void,
): void {
  replace(
    prototype,
    name,
    (method) =>
      function (this: T, ...args: never[]) {
        const result = (method as Method).apply(this, args);
        if (result instanceof Promise) return result.finally(() => after(this, args));
        after(this, args);
        return result;
      } as T[K],
  );
}
