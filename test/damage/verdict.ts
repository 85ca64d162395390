/**
 * What a census of a damaged folder is worth, held against the truth.
 *
 * Owns: the judgement. Right, or refused by name: anything else is a fault.
 */
import type { Answer, Census, DoctorSays, Refusal } from './census.ts';

/** The gravest thing that happened to the folder, short of a fault. */
export type Outcome =
  | 'unharmed'
  | 'history refused'
  | 'letters refused'
  | 'actors blocked'
  | 'loss reported'
  | 'not opened';

export interface Verdict {
  readonly outcome: Outcome;
  readonly faults: readonly string[];
}

/** Codes with which a damaged folder may be refused, and the lock of one that looks alive. */
const REFUSALS = new Set(['DATA_DAMAGED', 'DATA_FORMAT']);

export function judge(truth: Census, found: Census, injured: string): Verdict {
  if (found.opening !== undefined) return { outcome: 'not opened', faults: refusalFaults(found.opening, injured) };
  const faults: string[] = [];
  if (found.failure !== undefined) faults.push(`the system stopped: ${show({ refused: found.failure })}`);
  // The file ahead may have lost its end, where nobody can say whether that was ever promised: it is said.
  const isReported = found.reported.some(({ table }) => table === 'ahead');
  let outcome: Outcome = isReported ? 'loss reported' : 'unharmed';
  const raise = (to: Outcome): void => {
    if (RANK[to] > RANK[outcome]) outcome = to;
  };
  for (const [name, right] of Object.entries(truth.actors)) {
    const got = found.actors[name];
    if (isSame(got, right)) continue;
    if (isBlocked(got)) {
      raise('actors blocked');
      if (!found.blocked.includes(name.split(' ')[0] as string)) faults.push(`${name} is blocked, and not listed`);
    } else if (!isReported) faults.push(`${name} says ${show(got)}, right is ${show(right)}`);
  }
  for (const [key, answer] of Object.entries(found.histories)) {
    const right = truth.histories[key];
    if (isSame(answer, right)) continue;
    if (isDamaged(answer)) raise('history refused');
    else if (!isReported) faults.push(`the history of ${key} is ${show(answer)}, right is ${show(right)}`);
  }
  if (!isSame(found.letters, truth.letters)) {
    if (isDamaged(found.letters)) raise('letters refused');
    else if (!isReported) faults.push(`the letters are ${show(found.letters)}, right is ${show(truth.letters)}`);
  }
  if (found.laterOpening !== undefined) faults.push(`not opened again: ${show({ refused: found.laterOpening })}`);
  for (const [name, answer] of Object.entries(found.later ?? {})) {
    const wasRight = isSame(found.actors[name], truth.actors[name]);
    if (isReported || isSame(answer, truth.later?.[name]) || (!wasRight && isBlocked(answer))) continue;
    faults.push(
      `after one more turn and a new opening, ${name} says ${show(answer)}, right is ${show(truth.later?.[name])}`,
    );
  }
  return { outcome, faults };
}

/** What came of a repair. */
export type Recovery = 'refused' | 'whole' | 'some blocked' | 'loss reported';

/** The repaired folder opens, and says nothing wrong; what may be missing was said by the doctor. */
export function judgeRepaired(
  truth: Census,
  found: Census,
  injured: string,
): { readonly recovery: Recovery; readonly faults: readonly string[] } {
  const doctor = found.doctor as DoctorSays;
  if (doctor.refused !== undefined) return { recovery: 'refused', faults: refusalFaults(doctor.refused, injured) };
  if (found.opening !== undefined)
    return { recovery: 'refused', faults: [`the repaired folder is not opened: ${show({ refused: found.opening })}`] };
  const { outcome, faults } = judge(truth, found, injured);
  // Letters that were lost are put aside, and counted among what was lost.
  const grave = doctor.isOpen ? [] : faults.filter((fault) => doctor.lost === 0 || !fault.startsWith('the letters'));
  const recovery = doctor.isOpen ? 'loss reported' : outcome === 'actors blocked' ? 'some blocked' : 'whole';
  return { recovery, faults: grave };
}

const RANK: Record<Outcome, number> = {
  unharmed: 0,
  'history refused': 1,
  'letters refused': 2,
  'actors blocked': 3,
  'loss reported': 4,
  'not opened': 5,
};

function refusalFaults(refusal: Refusal, injured: string): string[] {
  const isLock = refusal.code === 'DATA_FOLDER_LOCKED' && injured.includes('LOCK');
  if (!REFUSALS.has(refusal.code) && !isLock) return [`refused with ${show({ refused: refusal })}`];
  // What is damaged is named: a file, a page, a position, a row.
  return /data\.mdb|AHEAD|FORMAT|position|format|in use|damaged/.test(refusal.message)
    ? []
    : [`refused without a name: ${refusal.message}`];
}

function isSame(answer: Answer | undefined, right: Answer | undefined): boolean {
  return (
    answer !== undefined && right !== undefined && 'value' in answer && 'value' in right && answer.value === right.value
  );
}

function isBlocked(answer: Answer | undefined): boolean {
  return (
    answer !== undefined &&
    'refused' in answer &&
    answer.refused.code === 'ACTOR_BLOCKED' &&
    /damaged|missing|no turn/.test(answer.refused.message)
  );
}

function isDamaged(answer: Answer | undefined): boolean {
  return answer !== undefined && 'refused' in answer && answer.refused.code === 'DATA_DAMAGED';
}

function show(answer: Answer | undefined): string {
  if (answer === undefined) return 'nothing';
  return 'value' in answer
    ? answer.value.slice(0, 100)
    : `${answer.refused.code}: ${answer.refused.message.slice(0, 160)}`;
}
