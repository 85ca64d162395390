/** Runs seeds again: node test/simulation/replay.ts --seed 123 [--seeds 10] [--workload bank] [--plan crashes] [--credit 400] [--trace] [--stacks]. With --digests: only what tells whether two runs are the same. */
import { parseArgs } from 'node:util';
import { caseOf, PLANS, runSeed, WORKLOADS } from './seeds.ts';

const { values } = parseArgs({
  options: {
    workload: { type: 'string' },
    plan: { type: 'string' },
    credit: { type: 'string' },
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    stacks: { type: 'boolean', default: false },
    digests: { type: 'boolean', default: false },
  },
});
const workload = WORKLOADS.find(({ name }) => name === values.workload);
if (values.workload !== undefined && workload === undefined)
  throw new Error(`no workload is named ${values.workload}: ${WORKLOADS.map(({ name }) => name).join(', ')}`);
if (values.plan !== undefined && PLANS[values.plan] === undefined)
  throw new Error(`no plan is named ${values.plan}: ${Object.keys(PLANS).join(', ')}`);

const credit = values.credit === undefined ? undefined : Number(values.credit);
const first = Number(values.seed);
let failed = 0;
const begin = performance.now();
for (let seed = first; seed < first + Number(values.seeds); seed++) {
  const report = await runSeed(seed, {
    workload,
    plan: values.plan,
    linkCreditBytes: credit,
    stacks: values.stacks,
    onTrace: values.trace ? (line) => process.stdout.write(`${line}\n`) : undefined,
  });
  if (values.digests) {
    console.log(`${seed} ${report.digest}`);
    continue;
  }
  const { digest, steps, virtualMs, turns, faults, violations } = report;
  if (values.seeds === '1') {
    const {
      workload: drawn,
      plan,
      hosts,
      linkCreditBytes,
      system,
    } = caseOf(seed, { workload, plan: values.plan, linkCreditBytes: credit });
    console.log({
      workload: drawn.name,
      plan,
      hosts,
      linkCreditBytes,
      ...system,
      digest,
      steps,
      virtualMs,
      turns,
      faults,
    });
    for (const { rule, what } of violations) console.log(`${rule}: ${what}`);
  }
  if (violations.length > 0) {
    failed += 1;
    if (values.seeds !== '1')
      console.log(
        `seed ${seed} (${caseOf(seed, { workload }).workload.name}, ${values.plan ?? caseOf(seed).plan}): ${violations.length} violations, first: ${violations[0]?.rule}: ${violations[0]?.what.slice(0, 300)}`,
      );
  }
}
if (!values.digests)
  console.log(
    `${failed} of ${values.seeds} seeds failed, ${((performance.now() - begin) / Number(values.seeds)).toFixed(1)} ms a seed`,
  );
process.exitCode = failed === 0 ? 0 : 1;
