/** What fan-out and waiting cost without a broker: Node's own emitter with a copy for each listener, and messages in an array. */
import { EventEmitter } from 'node:events';
import { decodeValue, encodeValue } from '../../runtime/wire/value-codec.ts';
import { type Order, order } from '../actors/messages.ts';
import type { Contender } from '../contract.ts';
import { heapBytes } from '../heap.ts';
import { Pace } from '../pace.ts';

/** Each listener unpacks a copy of its own, as a subscriber must have one. */
export const eventEmitter = (listeners: number): Contender => ({
  name: 'emitter',
  kind: 'baseline',
  label: 'EventEmitter, a copy each',
  async open({ sampleMs }) {
    const emitter = new EventEmitter();
    emitter.setMaxListeners(0);
    let heard = 0;
    for (let n = 0; n < listeners; n++) {
      emitter.on('order', (bytes: Uint8Array) => void (heard += (decodeValue(bytes) as Order).by > 0 ? 1 : 0));
    }
    let i = 0;
    const pace = new Pace(sampleMs, (size) => {
      const messages = Math.max(1, Math.round(size / listeners));
      const before = heard;
      for (let n = 0; n < messages; n++) emitter.emit('order', encodeValue(order(i++)));
      if (heard - before !== messages * listeners) throw new Error('not all were heard');
      return messages * listeners;
    });
    await pace.warmUp();
    return { sample: async () => ({ rate: await pace.rate() }), close: async () => {} };
  },
});

export const keptInAnArray: Contender = {
  name: 'array',
  kind: 'baseline',
  label: 'kept in an array',
  execArgv: ['--expose-gc'],
  async open({ quick }) {
    const count = quick ? 50_000 : 1_000_000;
    return {
      async sample() {
        const before = heapBytes();
        const waiting: Order[] = [];
        for (let i = 0; i < count; i++) waiting.push(order(i));
        const heap = Math.max(0, heapBytes() - before) / count;
        const startMs = performance.now();
        let sum = 0;
        for (const { by } of waiting) sum += by;
        const took = performance.now() - startMs;
        if (sum === 0) throw new Error('nothing was handled');
        return { heap, rate: (count / took) * 1_000 };
      },
      close: async () => {},
    };
  },
};
