/**
 * The census: what a folder says when everybody in it is asked.
 *
 * Owns: the questions, and the answers as plain data. The first census of an undamaged folder is the truth that others are held
 * against.
 */
import { createHash } from 'node:crypto';
import { type ActorSystem, BlocksError, examineDataFolder, repairDataFolder } from '../../runtime/index.ts';
import { citizen, clerk, lamp } from './citizens.ts';
import { CITIZENS, CLERKS, LAMPS, startTown } from './town.ts';

export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly table?: string | undefined;
}

/** What one question got: a value as text, or an error. */
export type Answer = { readonly value: string } | { readonly refused: Refusal };

export interface Census {
  /** The folder was not opened. */
  readonly opening?: Refusal | undefined;
  readonly end: number;
  readonly actors: Readonly<Record<string, Answer>>;
  /** Of the actors that were asked for it: their turns. */
  readonly histories: Readonly<Record<string, Answer>>;
  readonly letters: Answer;
  /** What the opening has reported. */
  readonly reported: readonly Refusal[];
  readonly blocked: readonly string[];
  /** The actors once more, after each has had a turn, a checkpoint and a new opening. */
  readonly later?: Readonly<Record<string, Answer>> | undefined;
  readonly laterOpening?: Refusal | undefined;
  /** The journal failed while it was asked, and with it the system: what it failed with. */
  readonly failure?: Refusal | undefined;
  readonly doctor?: DoctorSays | undefined;
}

export interface Questions {
  readonly folder: string;
  readonly relaxed: boolean;
  readonly checkPages: boolean;
  /** Keys of the actors whose history is asked for. */
  readonly histories: readonly string[];
  /** Only turns below this position: those before the census. Undefined: below the end that the opening found. */
  readonly end: number | undefined;
  readonly later: boolean;
  /** How long an actor may take to answer. */
  readonly patienceMs: number;
  /** Repair the folder first, into this one, and ask there. */
  readonly repairTo?: string | undefined;
}

/** What the doctor says of a damaged folder, and of the one that it made of it. */
export interface DoctorSays {
  /** The folder was refused by the doctor too. */
  readonly refused?: Refusal | undefined;
  readonly findings: number;
  readonly mended: number;
  readonly rebuilt: number;
  readonly lost: number;
  /** Something is missing, and whose it was cannot be said: it is said that it is. */
  readonly isOpen: boolean;
}

export async function census(questions: Questions): Promise<Census> {
  const { repairTo } = questions;
  if (repairTo === undefined) return ask(questions);
  const doctor = await treat(questions.folder, repairTo);
  if (doctor.refused !== undefined) return { ...EMPTY, doctor };
  return { ...(await ask({ ...questions, folder: repairTo, relaxed: false })), doctor };
}

async function treat(folder: string, target: string): Promise<DoctorSays> {
  try {
    const before = examineDataFolder(folder);
    const { mended, rebuilt, lost, unaccounted, nameless, after } = await repairDataFolder(folder, target);
    const findings = before.damage.length + before.blocked.length;
    const isOpen =
      unaccounted.length > 0 ||
      nameless > 0 ||
      after.damage.some(({ table, actors }) => table === 'log' && actors === undefined);
    return { findings, mended: mended.length, rebuilt: rebuilt.length, lost: lost.length, isOpen };
  } catch (error) {
    if (!(error instanceof BlocksError)) throw error;
    return { refused: refusalOf(error), findings: 0, mended: 0, rebuilt: 0, lost: 0, isOpen: false };
  }
}

const EMPTY: Census = { end: 0, actors: {}, histories: {}, letters: { value: '' }, reported: [], blocked: [] };

async function ask(questions: Questions): Promise<Census> {
  const { folder, later } = questions;
  const options = {
    checkPages: questions.checkPages,
    askTimeoutMs: questions.patienceMs,
    tellTimeoutMs: questions.patienceMs,
    ...(questions.relaxed ? ({ sync: 'relaxed' } as const) : {}),
  };
  let system: ActorSystem;
  try {
    system = await startTown(folder, options);
  } catch (error) {
    return { ...EMPTY, opening: refusalOf(error) };
  }
  let first: Census;
  let failure: Refusal | undefined;
  system.on('failed', ({ error }) => {
    failure ??= refusalOf(error);
  });
  try {
    const histories: Record<string, Answer> = {};
    const end = questions.end ?? system.opened.end;
    for (const key of questions.histories) histories[key] = await answerOf(turnsOf(system, key, end));
    first = {
      end,
      histories,
      actors: await everybody(system),
      letters: await answerOf(lettersOf(system)),
      reported: system.opened.damaged.map(({ error }) => refusalOf(error)),
      blocked: [...system.blocked().keys()].sort(),
    };
    if (failure !== undefined) return { ...first, failure };
    if (!later) return first;
    await nudge(system, first);
    await system.checkpoint();
  } finally {
    await system.stop();
  }
  try {
    await using again = await startTown(folder, options);
    return { ...first, later: await everybody(again) };
  } catch (error) {
    return { ...first, laterOpening: refusalOf(error) };
  }
}

async function everybody(system: ActorSystem): Promise<Record<string, Answer>> {
  const answers: Record<string, Answer> = {};
  const ask = async (name: string, promise: Promise<unknown>): Promise<void> => {
    answers[name] = await answerOf(promise);
  };
  await Promise.all([
    ...CITIZENS.map((id) => ask(`citizen/${id}`, system.ref(citizen, id).ask({ type: 'GET' }))),
    ...CLERKS.map((id) => ask(`clerk/${id}`, system.ref(clerk, id).ask({ type: 'GET' }))),
    ...LAMPS.map((id) => ask(`lamp/${id}`, viewOf(system, id))),
  ]);
  // The same key has the same answer, and is not served twice.
  await Promise.all([
    ...CITIZENS.slice(0, 8).map((id) =>
      ask(
        `citizen/${id} serve`,
        system.ref(citizen, id).ask({ type: 'SERVE', n: 1 }, { idempotencyKey: `serve-${id}` }),
      ),
    ),
    ...CITIZENS.slice(12, 16).map((id) =>
      ask(`citizen/${id} late`, system.ref(citizen, id).ask({ type: 'SERVE', n: 2 }, { idempotencyKey: `late-${id}` })),
    ),
  ]);
  return answers;
}

async function viewOf(system: ActorSystem, id: string): Promise<unknown> {
  // A machine answers nothing: a turn that changes nothing shows that it can have one.
  await system.ref(lamp, id).tell({ type: 'ADD', by: 0 });
  return (await system.ref(lamp, id).snapshot()).view;
}

/** One more turn for everybody who has answered. */
async function nudge(system: ActorSystem, first: Census): Promise<void> {
  const served = CITIZENS.filter((id) => 'value' in (first.actors[`citizen/${id}`] as Answer));
  await Promise.all(
    served.map((id) => system.ref(citizen, id).tell({ type: 'ADD', by: 1_000, data: 'f'.repeat(300) })),
  );
}

async function turnsOf(system: ActorSystem, key: string, end: number): Promise<unknown> {
  const turns = await system.history({ key }).turns({ limit: 100_000 });
  return turns.filter(({ position }) => position < end);
}

async function lettersOf(system: ActorSystem): Promise<unknown> {
  const letters = await system.deadLetters.list({ limit: 1_000 });
  return letters.map(({ error, ...letter }) => ({ ...letter, error: error.message }));
}

async function answerOf(promise: Promise<unknown>): Promise<Answer> {
  try {
    return { value: shortened(JSON.stringify((await promise) ?? null)) };
  } catch (error) {
    return { refused: refusalOf(error) };
  }
}

/** Long answers by their hash, with a beginning to look at. */
function shortened(text: string): string {
  if (text.length <= 200) return text;
  return `${text.slice(0, 120)}… ${createHash('sha256').update(text).digest('base64')}`;
}

function refusalOf(error: unknown): Refusal {
  const { code, message, details } = error as { code?: string; message?: string; details?: { table?: string } };
  return { code: code ?? 'NO_CODE', message: message ?? String(error), table: details?.table };
}
