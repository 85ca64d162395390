/** What sleeps without being remembered anywhere: a timer of Node's, and a closure with its input. */
import type { Contender } from '../contract.ts';
import { heapBytes } from '../heap.ts';
import { LONG_MS } from '../runs-left.ts';

export const bareTimers: Contender = {
  name: 'timers',
  kind: 'baseline',
  label: 'a setTimeout with its input, gone with the process',
  execArgv: ['--expose-gc'],
  async open({ quick }) {
    const count = quick ? 5_000 : 20_000;
    const timers = new Map<string, NodeJS.Timeout>();
    let fired = 0;
    const add = (): void => {
      for (let i = 0; i < count; i++) {
        const input = { run: String(timers.size), ms: LONG_MS };
        const timer = setTimeout(() => {
          fired += input.ms;
        }, input.ms);
        timers.set(input.run, timer);
      }
    };
    add();
    let before = heapBytes();
    return {
      async sample() {
        add();
        const after = heapBytes();
        const heap = Math.max(1, (after - before) / count);
        before = after;
        return { heap };
      },
      async close() {
        for (const timer of timers.values()) clearTimeout(timer);
        if (fired > 0) throw new Error('a sleep ended early');
      },
    };
  },
};
