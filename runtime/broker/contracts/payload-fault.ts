/** One thing about a payload that its contract does not allow. */
export interface PayloadFault {
  /** Where, as a JSON Pointer; empty: the payload itself. */
  readonly path: string;
  /** Keyword of the JSON Schema; of a Standard Schema, which has no words for it, `schema`. */
  readonly rule: string;
  /** What would have been right. */
  readonly expected: string;
}
