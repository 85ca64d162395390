/** A module that exports no definition. */
export const nothing = 'of the kind';
