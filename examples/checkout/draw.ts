/**
 * Draws the checkout's statechart: `npm run draw` writes `checkout.svg` beside this file.
 */
import { writeFile } from 'node:fs/promises';
import { statechartOf } from '../../actors/index.ts';
import { checkout } from './checkout.ts';
import { graphOf } from './statechart-graph.ts';
import { svgOf } from './statechart-svg.ts';

/** The file's text, from the definition alone. */
export function drawing(): Promise<string> {
  return svgOf(graphOf(statechartOf(checkout)), {
    title: 'Checkout',
    subtitle: 'drawn from the definition: each step a region; what was done is undone in reverse',
    caption: [],
  });
}

export const DRAWING = new URL('checkout.svg', import.meta.url);

if (import.meta.main) await writeFile(DRAWING, await drawing());
