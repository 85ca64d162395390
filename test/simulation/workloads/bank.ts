/** The bank: random transfers from several clients at once, with tells, asks and idempotency keys. */
import { type AccountState, account } from './bank-actors.ts';
import { attempt, fault, insist, pick, type Workload } from './workload.ts';

const ACCOUNTS = 6;
const CLIENTS = 4;
const TRANSFERS = 12;
const OPENING = 100;

export const bank: Workload = {
  name: 'bank',
  actors: [new URL('./bank-actors.ts', import.meta.url).href],
  async run(sim) {
    const key = (i: number): string => `account/${i}`;
    for (let i = 0; i < ACCOUNTS; i++) {
      await insist(sim, (system) =>
        system.spawn(account, { id: String(i), input: { balance: OPENING }, ifExists: 'attach' }),
      );
    }
    const acknowledged: { readonly from: string; readonly name: string }[] = [];
    for (let client = 0; client < CLIENTS; client++) {
      sim.client(async () => {
        for (let i = 0; i < TRANSFERS; i++) {
          const from = key(pick(sim, ACCOUNTS));
          const to = key(pick(sim, ACCOUNTS));
          const name = `c${client}-${i}`;
          const message = { type: 'TRANSFER', name, to, amount: 1 + pick(sim, 30) };
          if (sim.random.next() < 0.5) {
            const outcome = await insist(sim, (system) => system.refOf(from).ask(message, { idempotencyKey: name }));
            if (outcome.kind === 'failed') fault(sim, 'bank', `${name} failed: ${outcome.code}`);
            else if ((outcome.value as { done: boolean }).done) acknowledged.push({ from, name });
          } else {
            // Its money may or may not be there; the receipt says only that it was handled.
            await attempt(async () => (await sim.up()).refOf(from).tell(message));
          }
          if (sim.random.next() < 0.3) await sim.advance(pick(sim, 500));
        }
      });
    }
    sim.atEnd(async (system) => {
      if (sim.lostCommits > 0) return;
      const states = new Map<string, AccountState>();
      for (let i = 0; i < ACCOUNTS; i++)
        states.set(key(i), (await system.refOf(key(i)).snapshot()).view as AccountState);
      const sum = [...states.values()].reduce((total, { balance }) => total + balance, 0);
      if (sum !== ACCOUNTS * OPENING) fault(sim, 'bank', `the accounts hold ${sum} instead of ${ACCOUNTS * OPENING}`);
      const sent = [...states.values()].flatMap((state) => state.sent).sort();
      const received = [...states.values()].flatMap((state) => state.received).sort();
      if (sent.join() !== received.join()) fault(sim, 'bank', `sent ${sent.join()}, received ${received.join()}`);
      if (new Set(sent).size !== sent.length) fault(sim, 'bank', `a transfer was begun twice: ${sent.join()}`);
      for (const { from, name } of acknowledged) {
        if (states.get(from)?.sent.includes(name) !== true)
          fault(sim, 'bank', `${name} was acknowledged by ${from}, which does not know it`);
      }
    });
  },
};
