/**
 * The least that an actor runtime can be: arrays as mailboxes, a queue of those with work, a loop.
 *
 * Owns: the ceiling for messages inside one thread. It has no bounds, no failures, no addresses and no order among senders: what
 * a runtime adds is the distance to this.
 */
import { add } from '../actors/messages.ts';
import { NOTHING, type Tally, tally } from '../actors/tally.ts';
import type { Contender } from '../contract.ts';
import { Pace } from '../pace.ts';

interface Box {
  state: Tally;
  mail: { readonly by: number }[];
  queued: boolean;
}

const SLICE = 256;

/** `width` receivers, one sender that lets them run after every slice. */
export function mailboxLoop(width: number): Contender {
  return {
    name: 'mailbox-loop',
    kind: 'baseline',
    label: 'bare mailbox loop',
    async open({ sampleMs }) {
      const boxes: Box[] = Array.from({ length: width }, () => ({ state: NOTHING, mail: [], queued: false }));
      let ready: Box[] = [];
      let sent = 0;
      const send = (box: Box, message: { readonly by: number }): void => {
        box.mail.push(message);
        if (box.queued) return;
        box.queued = true;
        ready.push(box);
      };
      const run = (): void => {
        const boxesToRun = ready;
        ready = [];
        for (const box of boxesToRun) {
          const { mail } = box;
          box.queued = false;
          box.mail = [];
          for (const message of mail) box.state = tally(box.state, message);
        }
      };
      const pace = new Pace(sampleMs, (size) => {
        for (let i = 0; i < size; i++) {
          send(boxes[i % width] as Box, add());
          if (i % SLICE === SLICE - 1) run();
        }
        run();
        sent += size;
        const handled = boxes.reduce((sum, { state }) => sum + state.handled, 0);
        if (handled !== sent) throw new Error(`${handled} handled of ${sent} sent`);
        return size;
      });
      await pace.warmUp();
      return { sample: async () => ({ rate: await pace.rate() }), close: async () => {} };
    },
  };
}
