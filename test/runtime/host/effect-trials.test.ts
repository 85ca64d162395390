/** Whose fault are the deaths of a host, of all effects that were under way? */
import { expect, test } from 'vitest';
import { EffectTrials } from '../../../runtime/host/effect-trials.ts';

test('two deaths count for all that were under way, the third for the one that was tried', () => {
  const trials = new EffectTrials();
  trials.died({ running: [1, 2], tried: undefined }, 0);
  trials.died({ running: [1, 2, 3], tried: undefined }, 10);
  expect(trials.suspects(20)).toEqual([
    [1, 2],
    [2, 2],
    [3, 1],
  ]);
  trials.died({ running: [1, 2], tried: 2 }, 30);
  expect(trials.suspects(40)).toEqual([
    [1, 2],
    [2, 3],
    [3, 1],
  ]);
});

test('deaths that lie far apart are not counted together', () => {
  const trials = new EffectTrials();
  trials.died({ running: [1], tried: undefined }, 0);
  trials.died({ running: [1, 2], tried: undefined }, 100_000);
  expect(trials.suspects(100_001)).toEqual([
    [1, 1],
    [2, 1],
  ]);
  expect(trials.suspects(200_000)).toEqual([]);
});
