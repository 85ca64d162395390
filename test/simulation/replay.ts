/** Runs one seed of one workload again: node test/simulation/replay.ts --workload bank --seed 123 [--plan crashes] [--trace] [--stacks] */
import { parseArgs } from 'node:util';
import { PLANS, WORKLOADS, runSeed } from './seeds.ts';

const { values } = parseArgs({
  options: {
    workload: { type: 'string', default: 'bank' },
    plan: { type: 'string' },
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    stacks: { type: 'boolean', default: false },
  },
});
const workload = WORKLOADS.find(({ name }) => name === values.workload);
if (workload === undefined)
  throw new Error(`no workload is named ${values.workload}: ${WORKLOADS.map(({ name }) => name).join(', ')}`);
if (values.plan !== undefined && PLANS[values.plan] === undefined)
  throw new Error(`no plan is named ${values.plan}: ${Object.keys(PLANS).join(', ')}`);

const first = Number(values.seed);
let failed = 0;
const begin = performance.now();
for (let seed = first; seed < first + Number(values.seeds); seed++) {
  const report = await runSeed(workload, seed, {
    plan: values.plan,
    stacks: values.stacks,
    onTrace: values.trace ? (line) => process.stdout.write(`${line}\n`) : undefined,
  });
  const { digest, steps, virtualMs, turns, faults, violations } = report;
  if (values.seeds === '1') {
    console.log({ digest, steps, virtualMs, turns, faults });
    for (const { rule, what } of violations) console.log(`${rule}: ${what}`);
  }
  if (violations.length > 0) {
    failed += 1;
    if (values.seeds !== '1')
      console.log(
        `seed ${seed}: ${violations.length} violations, first: ${violations[0]?.rule}: ${violations[0]?.what.slice(0, 300)}`,
      );
  }
}
console.log(
  `${failed} of ${values.seeds} seeds failed, ${((performance.now() - begin) / Number(values.seeds)).toFixed(1)} ms a seed`,
);
process.exitCode = failed === 0 ? 0 : 1;
