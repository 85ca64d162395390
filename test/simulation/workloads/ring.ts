/** Rings across hosts that are fuller than their mailboxes and links: they must go on until every token has gone its steps. */
import { MEMBERS, member, type MemberState, RINGS } from './ring-actors.ts';
import { attempt, fault, insist, pick, type Workload } from './workload.ts';

const CLIENTS = 3;
const BEGINS = 4;
const TOKENS = 9;
const STEPS = 7;

export const ring: Workload = {
  name: 'ring',
  actors: [new URL('./ring-actors.ts', import.meta.url).href],
  async run(sim) {
    for (let client = 0; client < CLIENTS; client++) {
      sim.client(async () => {
        for (let i = 0; i < BEGINS; i++) {
          const system = await sim.up();
          const id = `${RINGS[pick(sim, RINGS.length)] as string}-${pick(sim, MEMBERS)}`;
          // Whether it was taken is not known after a crash; what has begun must come to its end either way.
          const message = { type: 'BEGIN', name: `c${client}.${i}`, tokens: TOKENS, steps: STEPS } as const;
          const told = attempt(() => system.refOf(`${member.name}/${id}`).tell(message));
          if (sim.random.next() < 0.3) await told;
        }
      });
    }
    sim.atEnd(async (system) => {
      const passed = new Map<string, number>();
      const begun = new Map<string, number>();
      for (let i = 0; i < RINGS.length * MEMBERS; i++) {
        const id = `${RINGS[Math.floor(i / MEMBERS)] as string}-${i % MEMBERS}`;
        const look = await insist(sim, () => system.refOf(`${member.name}/${id}`).snapshot());
        const state = look.kind === 'done' ? (look.value.view as MemberState | undefined) : undefined;
        for (const [token, steps] of Object.entries(state?.begun ?? {})) begun.set(token, steps);
        for (const [token, times] of Object.entries(state?.seen ?? {}))
          passed.set(token, (passed.get(token) ?? 0) + times);
      }
      for (const [token, steps] of begun) {
        const times = passed.get(token) ?? 0;
        if (times !== steps) fault(sim, 'ring', `token ${token} has gone ${times} of ${steps} steps`);
      }
    });
  },
};
