/**
 * The log of a real process: environmental permits of Dutch municipalities (CoSeLoG, 4TU research data), 1,434 cases, 8,577 events.
 *
 * Owns: where it is, reading it, and what is made to go wrong with which event. The file is no part of the project; without it nothing
 * can be said.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { hashOf } from '../../../runtime/kernel/random.ts';

export const PERMIT_LOG =
  process.env['CB_PERMIT_LOG'] ??
  join(import.meta.dirname, '..', '..', '..', '..', 'shared', 'data', 'permit-process.csv.gz');

export const hasPermitLog = (): boolean => existsSync(PERMIT_LOG);

export interface PermitEvent {
  /** The department, as the id of a system. */
  readonly department: string;
  readonly activity: string;
}

export interface PermitCase {
  readonly id: string;
  readonly events: readonly PermitEvent[];
}

/** All cases in the order of the log, the events of each in theirs. */
export function readPermitLog(): readonly PermitCase[] {
  const [head = '', ...lines] = gunzipSync(readFileSync(PERMIT_LOG)).toString().trimEnd().split('\n');
  const columns = head.trim().split(',');
  const column = (name: string): number => {
    const at = columns.indexOf(name);
    if (at === -1) throw new Error(`the log has no column ${name}`);
    return at;
  };
  const [id, activity, group] = [column('case:concept:name'), column('concept:name'), column('org:group')];
  const cases = new Map<string, PermitEvent[]>();
  for (const line of lines) {
    const cells = line.trim().split(',');
    if (cells.length !== columns.length) throw new Error(`no line of the log: ${line}`);
    const events = cases.get(cells[id] as string) ?? [];
    events.push({
      department: (cells[group] as string).toLowerCase().replaceAll(' ', '-'),
      activity: cells[activity] as string,
    });
    cases.set(cells[id] as string, events);
  }
  return [...cases].map(([name, events]) => ({ id: name, events }));
}

/** The name that an activity has as an action. */
export const actionOf = (activity: string): string => activity.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');

/** What goes wrong with the first try of an event: nothing, it fails, or it is done and the answer is lost. */
export function mishapOf(id: string, event: number): 'none' | 'busy' | 'no answer' {
  const draw = hashOf(`${id} ${event}`) % 10;
  return draw === 0 ? 'busy' : draw === 1 ? 'no answer' : 'none';
}

/** The event which a department refuses for good, when a case is run for the first time; of one case in five. */
export function refusedAt({ id, events }: PermitCase): number | undefined {
  const draw = hashOf(id);
  return draw % 5 === 0 ? Math.trunc(draw / 5) % events.length : undefined;
}
