/** Two definitions of one name, neither of which knows the other. */
import { defineActor } from '../../../runtime/index.ts';

const reducer = { init: () => 0, receive: (state: number): number => state };

export const one = defineActor(import.meta.url, 'twin', { reducer, version: 1 });
export const two = defineActor(import.meta.url, 'twin', { reducer, version: 2 });
