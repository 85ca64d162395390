/**
 * The classic control-flow patterns (van der Aalst, ter Hofstede, Kiepuszewski and Barros, "Workflow Patterns", 2003; workflowpatterns.com),
 * those that are supported, each as it is written here. `runtime/docs/workflows.md` has the table; a test there keeps it whole.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { WorkflowStepOptions } from '../../../actors/saga/workflow-step.ts';
import { PlanRig } from './plan-rig.ts';

const call = { systemTarget: 's', action: 'a' };
const step = (
  stepId: string,
  dependencies: string[] = [],
  more: Partial<WorkflowStepOptions> = {},
): WorkflowStepOptions => ({ stepId, ...call, dependencies, ...more });

const PATTERNS: Readonly<Record<string, () => void>> = {
  'WCP-1 Sequence': () => {
    const rig = new PlanRig([step('a'), step('b', ['a'])]);
    expect(rig.under).toEqual(['a/1']);
    expect(rig.done('a/1').under).toEqual(['b/1']);
  },
  'WCP-2 Parallel Split': () => {
    const rig = new PlanRig([step('a'), step('b', ['a']), step('c', ['a'])]).done('a/1');
    expect(rig.under).toEqual(['b/1', 'c/1']);
  },
  'WCP-3 Synchronization': () => {
    const rig = new PlanRig([step('a'), step('b'), step('c', ['a', 'b'])]).done('a/1');
    expect(rig.under).toEqual(['b/1']);
    expect(rig.done('b/1').under).toEqual(['c/1']);
  },
  'WCP-4 Exclusive Choice': () => {
    const rig = new PlanRig([
      step('a'),
      step('b', ['a'], { condition: 'steps.a.result > 1' }),
      step('c', ['a'], { condition: 'steps.a.result <= 1' }),
    ]);
    expect(rig.done('a/1', 1).under).toEqual(['c/1']);
    expect(rig.statuses()).toMatchObject({ b: 'skipped' });
  },
  'WCP-5 Simple Merge': () => {
    const rig = new PlanRig(
      [step('b', [], { condition: 'input.b' }), step('c', [], { condition: '!input.b' }), step('d', ['b', 'c'])],
      { b: false },
    );
    expect(rig.done('c/1').under).toEqual(['d/1']);
  },
  'WCP-6 Multi-Choice': () => {
    const rig = new PlanRig(
      [
        step('a', [], { condition: 'input.n > 1' }),
        step('b', [], { condition: 'input.n > 2' }),
        step('c', [], { condition: 'input.n > 9' }),
      ],
      { n: 5 },
    );
    expect(rig.under).toEqual(['a/1', 'b/1']);
  },
  'WCP-7 Structured Synchronizing Merge': () => {
    const rig = new PlanRig(
      [
        step('a', [], { condition: 'input.n > 1' }),
        step('b', [], { condition: 'input.n > 9' }),
        step('c'),
        step('d', ['a', 'b', 'c']),
      ],
      { n: 5 },
    );
    expect(rig.done('a/1').under).toEqual(['c/1']);
    expect(rig.done('c/1').under).toEqual(['d/1']);
  },
  'WCP-9 Structured Discriminator': () => {
    const rig = new PlanRig([step('a'), step('b'), step('c', ['a', 'b'], { join: 'any' })]).done('b/1');
    expect(rig.under).toEqual(['a/1', 'c/1']);
    expect(rig.done('a/1').done('c/1').started).toEqual(['a/1', 'b/1', 'c/1']);
  },
  'WCP-30 Structured Partial Join': () => {
    const rig = new PlanRig([step('a'), step('b'), step('c'), step('d', ['a', 'b', 'c'], { join: 2 })]).done('c/1');
    expect(rig.under).not.toContain('d/1');
    expect(rig.done('a/1').under).toEqual(['b/1', 'd/1']);
  },
  'WCP-11 Implicit Termination': () => {
    const rig = new PlanRig([step('a'), step('b')]).done('a/1');
    expect(rig.phase).toBe('running');
    expect(rig.done('b/1').phase).toBe('completed');
  },
  'WCP-12 Multiple Instances without Synchronization': () => {
    const rig = new PlanRig([
      { stepId: 'a', workflow: 'w', detached: true, forEach: { items: [1, 2] } },
      step('b', ['a']),
    ]);
    expect([...rig.calls.values()]).toMatchObject([{ detached: true }, { detached: true }]);
    expect(rig.done('a#0/1').done('a#1/1').under).toEqual(['b/1']);
  },
  'WCP-13 Multiple Instances with a Priori Design-Time Knowledge': () => {
    const rig = new PlanRig([step('a', [], { forEach: { items: [1, 2, 3] } }), step('b', ['a'])]);
    expect(rig.done('a#2/1').done('a#0/1').done('a#1/1').under).toEqual(['b/1']);
  },
  'WCP-14 Multiple Instances with a Priori Run-Time Knowledge': () => {
    const rig = new PlanRig([step('a', [], { forEach: '${input.l}' }), step('b', ['a'])], { l: ['x', 'y'] });
    expect(rig.done('a#0/1').done('a#1/1').under).toEqual(['b/1']);
  },
  'WCP-16 Deferred Choice': () => {
    const rig = new PlanRig([
      { stepId: 'w', signal: ['mail', 'phone'] },
      step('m', ['w'], { condition: "steps.w.result.signal == 'mail'" }),
      step('p', ['w'], { condition: "steps.w.result.signal == 'phone'" }),
    ]);
    expect(rig.on({ type: 'signal', name: 'phone', payload: 1 }).under).toEqual(['p/1']);
  },
  'WCP-18 Milestone': () => {
    const rig = new PlanRig([step('reached'), step('a'), step('only-then', ['reached', 'a'])]).done('a/1');
    expect(rig.under).toEqual(['reached/1']);
    expect(rig.done('reached/1').under).toEqual(['only-then/1']);
  },
  'WCP-19 Cancel Task': () => {
    const rig = new PlanRig([{ stepId: 'a', signal: 'go' }, step('b', ['a'])]);
    expect(rig.on({ type: 'cancelStep', step: 'a', reason: undefined }).under).toEqual(['b/1']);
    expect(rig.statuses()).toMatchObject({ a: 'cancelled' });
  },
  'WCP-20 Cancel Case': () => {
    const rig = new PlanRig([
      step('a', [], { compensation: call }),
      { stepId: 'b', signal: 'go', dependencies: ['a'] },
    ]).done('a/1');
    expect(rig.on({ type: 'cancel', reason: undefined }).under).toEqual(['a/undo/1']);
    expect(rig.done('a/undo/1').phase).toBe('cancelled');
  },
  'WCP-22 Recursion': () => {
    const rig = new PlanRig(
      [{ stepId: 'a', workflow: 'w', condition: 'input.n > 0', parameters: { n: '${input.n - 1}' } }],
      { n: 2 },
    );
    expect(rig.calls.get('a/1')).toMatchObject({ type: 'child', workflow: 'w', input: { n: 1 } });
  },
  'WCP-24 Persistent Trigger': () => {
    const rig = new PlanRig([step('a'), { stepId: 'b', signal: 'go', dependencies: ['a'] }]).on({
      type: 'signal',
      name: 'go',
      payload: 7,
    });
    expect(rig.done('a/1').state.result).toMatchObject({ b: 7 });
  },
};

test.each(Object.entries(PATTERNS))('%s', (_name, show) => show());

test('the table in the documentation has each of them, and names the others', async () => {
  const page = await readFile(fileURLToPath(new URL('../../../runtime/docs/workflows.md', import.meta.url)), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| WCP-'));
  const supported = rows.filter((row) => !row.includes('| no')).map((row) => row.split('|')[1]?.trim());
  expect(new Set(supported)).toEqual(new Set(Object.keys(PATTERNS)));
  expect(rows.length).toBeGreaterThan(Object.keys(PATTERNS).length);
});
