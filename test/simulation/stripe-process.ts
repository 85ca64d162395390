/** A process that runs stripes as it is told, one at a time: for `stripes.ts`. */
import { runStripe, type Stripe } from './stripe.ts';

process.on('message', (stripe: Stripe) => {
  void runStripe(stripe, (seed) => process.send?.({ seed })).then((tally) => process.send?.({ tally }));
});
process.on('disconnect', () => process.exit());
