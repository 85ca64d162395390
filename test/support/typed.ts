/** Types for XState's inference, which takes them from a value that is never looked at. */
export const typed = <TTypes>(): TTypes => ({}) as TTypes;
