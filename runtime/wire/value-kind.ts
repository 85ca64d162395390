/** What kind of value something is: plain data or not, and what to call it in a message to people. */

/** Plain: made by `{}`, `Object.create(null)` or `[]`, also those of another realm. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype || prototype === Array.prototype) return true;
  const above: unknown = Object.getPrototypeOf(prototype);
  if (above === null) return true;
  return Array.isArray(value) && Object.getPrototypeOf(above) === null;
}

/** `an instance of Socket`, `a function (onDone)`. */
export function describeValue(value: unknown): string {
  if (typeof value === 'function') return value.name === '' ? 'a function' : `a function (${value.name})`;
  if (typeof value === 'symbol') return `a symbol (${String(value.description)})`;
  if (typeof value === 'bigint') return 'a bigint of more than 64 bits';
  if (typeof value !== 'object' || value === null) return `a ${typeof value}`;
  const constructor: unknown = value.constructor;
  const name = typeof constructor === 'function' ? constructor.name : '';
  return name === '' ? 'an instance of a class' : `an instance of ${name}`;
}
