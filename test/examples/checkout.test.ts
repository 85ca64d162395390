/** The checkout of README: what is shown is the definition, and the drawing is drawn from it. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { defineSaga } from '../../actors/saga/define-saga.ts';
import { statechartOf } from '../../actors/saga/statechart.ts';
import { checkout } from '../../examples/checkout/checkout.ts';
import { DRAWING, drawing } from '../../examples/checkout/draw.ts';
import { graphOf } from '../../examples/checkout/statechart-graph.ts';
import { svgOf } from '../../examples/checkout/statechart-svg.ts';

const sourceOf = (text: string): string => /const checkout = defineSaga[\s\S]*?\}\);\n/.exec(text)?.[0] ?? '';

test('the drawing is that of the definition: else npm run draw', async () => {
  expect(await readFile(DRAWING, 'utf8')).toBe(await drawing());
});

test('README shows the definition, and its drawing', async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const source = sourceOf(await readFile(new URL('../../examples/checkout/checkout.ts', import.meta.url), 'utf8'));
  expect(source).toContain("'send'");
  expect(sourceOf(readme)).toBe(source);
  expect(readme).toContain('(examples/checkout/checkout.svg)');
});

test('boxes and arrows: a region a step; what leaves a region leaves the state around it, and says whose it is', () => {
  const { root, arrows } = graphOf(statechartOf(checkout));
  const names = (path: string): string[] | undefined =>
    root.children.find(({ name }) => name === path)?.children.map(({ name }) => name);
  expect(names('running')).toEqual(['reserve', 'courier', 'charge', 'send']);
  expect(names('compensating')).toEqual(['reserve', 'courier']);
  const labels = (from: string, to: string): readonly string[] | undefined =>
    arrows.find((arrow) => arrow.from === `checkout.${from}` && arrow.to === `checkout.${to}`)?.labels;
  expect(labels('running', 'draining')).toEqual(['cancel', 'any step: failed']);
  // Before the pivot is completed nothing else can be stuck.
  expect(labels('running', 'stuck')).toEqual(['send: failed [cannot be undone]']);
  expect(labels('running.courier.pending', 'running.courier.skipped')).toEqual(["[not input.kind == 'parcel']"]);
  expect(labels('running.reserve.pending', 'running.reserve.skipped')).toBeUndefined();
  expect(labels('compensating', 'cancelled')).toEqual(['done [cancelled]']);
  expect(arrows.every(({ from, to }) => from.split('.').length <= 4 && to.split('.').length <= 4)).toBe(true);
});

test('another definition is another drawing, with its words escaped', async () => {
  const other = defineSaga('other').step('a', {
    actor: { definition: 'x', id: '1' },
    action: 'GO',
    condition: '${input.n} < 3 && true',
  });
  const svg = await svgOf(graphOf(statechartOf(other)), { title: 'Other', subtitle: 'of a test', caption: [] });
  expect(svg).toContain('x: GO, if ${input.n} &lt; 3 &amp;&amp; true');
  expect(svg).not.toContain('stuck');
  for (const [, width = '', height = ''] of svg.matchAll(/width="([\d.-]+)" height="([\d.-]+)"/g)) {
    expect(Number(width)).toBeGreaterThan(0);
    expect(Number(height)).toBeGreaterThan(0);
  }
});
