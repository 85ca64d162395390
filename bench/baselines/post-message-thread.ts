/** The other thread of `post-message.ts`: counts what comes, answers what asks. */
import { parentPort } from 'node:worker_threads';
import { NOTHING, tally } from '../actors/tally.ts';

let state = NOTHING;

parentPort?.on('message', (message: { readonly by: number } | readonly { readonly by: number }[] | 'REPORT') => {
  if (message === 'REPORT') parentPort?.postMessage(state.handled);
  else if (Array.isArray(message)) for (const one of message as { readonly by: number }[]) state = tally(state, one);
  else {
    const single = message as { readonly by: number; readonly echo?: boolean };
    if (single.echo === true) parentPort?.postMessage(single);
    else state = tally(state, single);
  }
});
