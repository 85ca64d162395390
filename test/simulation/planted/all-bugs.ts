/** Every planted bug. */
import { HOST_BUGS } from './host-bugs.ts';
import { JOURNAL_BUGS } from './journal-bugs.ts';
import { LIFE_BUGS } from './life-bugs.ts';
import { SUPERVISION_BUGS } from './supervision-bugs.ts';
import type { PlantedBug } from './planted-bug.ts';

export const PLANTED_BUGS: readonly PlantedBug[] = [...JOURNAL_BUGS, ...HOST_BUGS, ...LIFE_BUGS, ...SUPERVISION_BUGS];
