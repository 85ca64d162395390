/**
 * Opens a disk that was cut, with the code that would open it in the field, and says what is wrong.
 *
 * Owns: the look at one folder. The claims are `claims.ts`; on top of those:
 *   PW4. Positions are without a gap, every row's sums fit, a cell's turns follow one another.
 *   PW5. A cell's state is the fold of its messages, its next messages are those that its neighbour sent and nothing else.
 *   PW6. A request that was answered gets the same answer again under its key.
 *   PW7. An unfinished backup is refused by name, or is a whole one.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { stateIn } from '../../runtime/cell/image.ts';
import { ActorSystem } from '../../runtime/index.ts';
import { BatchReader } from '../../runtime/journal/batch-reader.ts';
import { openDataFolder } from '../../runtime/journal/data-folder.ts';
import { createInlineJournal, type InlineJournal } from '../../runtime/journal/inline-journal.ts';
import type { SyncMode } from '../../runtime/journal/journal-control.ts';
import { openStore } from '../../runtime/journal/open-store.ts';
import type { Store } from '../../runtime/journal/store.ts';
import type { LoadedCell, TurnRecord } from '../../runtime/journal/turn-record.ts';
import { placementOf } from '../../runtime/kernel/address.ts';
import { systemClock } from '../../runtime/kernel/clock.ts';
import type { Envelope } from '../../runtime/kernel/message.ts';
import type { RefOf } from '../../runtime/system/definition-inference.ts';
import {
  ACCOUNTS,
  account,
  accountKey,
  ASKED_EVERY,
  askKey,
  type AccountMessage,
  type AccountState,
  foldMessage,
  foldText,
  FRESH,
  textOf,
} from './account.ts';
import type { Claims } from './claims.ts';
import { DATA } from './load.ts';

const SLOTS = 2;
const SETTINGS = { retention: 'keep', checkpointEveryTurns: 1e9, checkpointEveryBytes: 1e12, hosts: SLOTS } as const;

export interface CheckOptions {
  readonly sync: SyncMode;
  /** Also start a whole system, ask every account, and add to each. */
  readonly whole: boolean;
  /** Rows that were found to be right before, on another disk of the same recording: by their position. */
  readonly rightRows: Map<number, Buffer>;
  /** Also look at backups that were said to be done: nothing touches those any more. */
  readonly doneBackups: boolean;
}

/** What is wrong with the disk below `root`; undefined: nothing. */
export async function checkDisk(root: string, claims: Claims, options: CheckOptions): Promise<string | undefined> {
  try {
    await checkFolder(join(root, DATA), claims, options);
    for (const [name, backup] of claims.backups) {
      if (!backup.done || options.doneBackups) await checkBackup(join(root, name), backup, options);
    }
    return undefined;
  } catch (error) {
    if (error instanceof Error) return `${'code' in error ? `${String(error.code)} ` : ''}${error.message}`;
    return String(error);
  }
}

async function checkBackup(
  path: string,
  { claims, done }: { readonly claims: Claims; readonly done: boolean },
  options: CheckOptions,
): Promise<void> {
  if (!done && !existsSync(join(path, 'FORMAT'))) {
    if (!existsSync(join(path, 'data.mdb'))) return;
    try {
      openDataFolder(path, systemClock).release();
    } catch (error) {
      if ((error as { code?: string }).code === 'DATA_FORMAT') return;
      throw error;
    }
    throw new Error('an unfinished backup was taken for a whole one');
  }
  await checkFolder(path, claims, { ...options, whole: false });
}

async function checkFolder(path: string, claims: Claims, { sync, whole, rightRows }: CheckOptions): Promise<void> {
  const folder = openDataFolder(path, systemClock);
  try {
    const { store, faults } = await openStore({ ...SETTINGS, sync, dataDir: folder.path });
    // Of what a relaxed life had not flushed the opening may say that it is missing.
    const fault = faults.find(({ details }) => details?.['table'] !== 'ahead');
    if (fault !== undefined) throw fault;
    checkLog(store, claims, rightRows);
    const failures: unknown[] = [];
    const journal = createInlineJournal(
      { ...SETTINGS, sync, dataDir: undefined },
      { clock: systemClock, store, failed: (error) => failures.push(error) },
    );
    const report = await journal.control.open();
    const damage = report.damaged[0];
    if (damage !== undefined) throw new Error(`damage at ${damage.position}: ${damage.error.message}`);
    const cells = (await Promise.all([0, 1].map((slot) => load(journal, slot)))).flat();
    checkCells(new Map(cells.map((cell) => [cell.key, cell])), claims);
    if (report.checkpoint < claims.checkpoint)
      throw new Error(`checkpoint ${claims.checkpoint} was acknowledged, found ${report.checkpoint}`);
    await journal.control.close();
    if (failures.length > 0) throw failures[0];
  } finally {
    folder.release();
  }
  if (whole) await checkSystem(path, claims, sync);
}

function checkLog(store: Store, claims: Claims, rightRows: Map<number, Buffer>): void {
  let expected: number | undefined;
  const trimmed = store.meta('trimmed') ?? 1;
  for (const { position, bytes } of store.logFrom(0)) {
    if (position !== (expected ?? position)) throw new Error(`the log goes from ${expected} to ${position}`);
    if (expected === undefined && position > trimmed)
      throw new Error(`the log begins at ${position}, not at ${trimmed}`);
    const batch = new BatchReader(bytes);
    if (!batch.isSeatedAt(position)) throw new Error(`row ${position} was written for another place`);
    expected = position + batch.turns;
    const right = rightRows.get(position);
    if (right?.equals(bytes) === true) continue;
    // A position is given once, whatever the disk has kept.
    if (right !== undefined) throw new Error(`row ${position} is not the one that other disks of the recording have`);
    if (batch.damage() !== undefined) throw new Error(`row ${position} is damaged`);
    for (let i = 0; i < batch.turns; i++) checkTurn(batch.turn(batch.header(i)), claims);
    rightRows.set(position, Buffer.from(bytes));
  }
}

function checkTurn({ key, envelope }: TurnRecord, claims: Claims): void {
  const message = envelope.message as AccountMessage | undefined;
  if (message?.type !== 'ADD') return;
  const a = accountOf(key);
  const life = claims.lifeOf(a, message.n);
  if (life === undefined || message.text !== textOf(life, a, message.n))
    throw new Error(`a turn that was not written: ${key} ${message.n} "${message.text.slice(0, 40)}", of life ${life}`);
}

function load(journal: InlineJournal, slot: number): Promise<LoadedCell[]> {
  const keys = Array.from({ length: ACCOUNTS }, (_, a) => accountKey(a)).filter(
    (key) => placementOf(key, SLOTS) === slot,
  );
  if (keys.length === 0) return Promise.resolve([]);
  const ignore = (): void => {};
  const host = journal.connect(
    { slot, epoch: 1 },
    { accepted: ignore, committed: ignore, fenced: ignore, wake: ignore, storage: ignore, checkpoint: ignore },
  );
  return new Promise((resolve) => host.load(keys, (cells) => resolve([...cells])));
}

interface Found {
  readonly state: AccountState;
  /** Numbers from its neighbour that it has not handled yet. */
  readonly waiting: readonly number[];
}

function checkCells(cells: ReadonlyMap<string, LoadedCell>, claims: Claims): void {
  const found = Array.from({ length: ACCOUNTS }, (_, a) => foundOf(a, cells.get(accountKey(a)), claims));
  for (const [a, { state, waiting }] of found.entries()) {
    const key = accountKey(a);
    if (state.gaps > 0 || state.doubles > 0) throw new Error(`${key} saw gaps or doubles: ${JSON.stringify(state)}`);
    if (state.n < (claims.told[a] ?? 0))
      throw new Error(`lost: ${key} acknowledged message ${claims.told[a]}, found ${state.n}`);
    if (state.digest !== digestOf(a, state.n, claims))
      throw new Error(`the state of ${key} is not the fold of 1 to ${state.n}`);
    const sent = found[(a + ACCOUNTS - 1) % ACCOUNTS]?.state.n ?? 0;
    const given = [...Array(state.peer).keys()].map((i) => i + 1).concat(waiting);
    if (given.length !== sent || given.some((n, i) => n !== i + 1))
      throw new Error(`${key} has ${state.peer} and then ${waiting.join()} of the ${sent} that its neighbour sent`);
  }
}

function foundOf(a: number, cell: LoadedCell | undefined, claims: Claims): Found {
  const key = accountKey(a);
  if (cell === undefined) throw new Error(`${key} was not answered for`);
  if (cell.damage !== undefined) throw new Error(`${key} is damaged: ${cell.damage.message}`);
  const { image, turns, pending } = cell;
  if (claims.spawned[a] === true && image === undefined && turns.length === 0)
    throw new Error(`lost: the spawn of ${key}`);
  let state = image === undefined ? FRESH : (stateIn(image).saved as AccountState);
  let sequence = image?.sequence ?? 0;
  const peers: number[] = [];
  const peer = ({ message }: Envelope): void => {
    const known = message as AccountMessage | undefined;
    if (known?.type === 'PEER') peers.push(known.n);
  };
  for (const envelope of (image?.body as { backlog?: readonly Envelope[] } | undefined)?.backlog ?? []) peer(envelope);
  for (const turn of turns) {
    if (turn.sequence !== ++sequence)
      throw new Error(`turn ${turn.sequence} of ${key} stands where ${sequence} belongs`);
    if (turn.outcome !== 'handled') throw new Error(`turn ${turn.sequence} of ${key} was ${turn.outcome}`);
    const message = turn.envelope.message as AccountMessage | undefined;
    if (message?.type === 'PEER' && peers[0] === message.n) peers.shift();
    if (message !== undefined) state = foldMessage(state, message);
  }
  for (const envelope of pending) peer(envelope);
  return { state, waiting: peers };
}

function digestOf(a: number, n: number, claims: Claims): number {
  let digest = 0;
  for (let i = 1; i <= n; i++) digest = foldText(digest, textOf(claims.lifeOf(a, i) ?? -1, a, i));
  return digest;
}

/** The whole system on it: every account answers, takes more, and has everything of its neighbour in the end. */
async function checkSystem(dataDir: string, claims: Claims, sync: SyncMode): Promise<void> {
  const actors = [new URL('./account.ts', import.meta.url)];
  const told: number[] = [];
  {
    await using system = await ActorSystem.start({ dataDir, sync, threads: 0, actors });
    const ids = Array.from({ length: ACCOUNTS }, (_, a) => `a${a}`);
    const refs = await Promise.all(ids.map((id) => system.spawn(account, { id, ifExists: 'attach' })));
    for (const [a, ref] of refs.entries()) {
      const { n } = await ref.ask<AccountState>({ type: 'GET' });
      const claimed = claims.told[a] ?? 0;
      if (n < claimed) throw new Error(`lost: ${ref.key} acknowledged ${claimed}, says ${n}`);
      await askAgain(ref, a, claimed - (claimed % ASKED_EVERY), claims);
      await ref.tell({ type: 'ADD', n: n + 1, text: 'one more', to: accountKey((a + 1) % ACCOUNTS) });
      told[a] = n + 1;
    }
  }
  await using system = await ActorSystem.start({ dataDir, sync, threads: 0, actors });
  for (let a = 0; a < ACCOUNTS; a++) {
    const ref = system.ref(account, `a${a}`);
    const { n, gaps, doubles } = await ref.ask<AccountState>({ type: 'GET' });
    if (n !== told[a] || gaps > 0 || doubles > 0)
      throw new Error(`${ref.key} was told ${told[a]} after the cut, says ${n}, ${gaps} gaps, ${doubles} doubles`);
    await ref.waitFor(({ view }) => (view as AccountState).peer === told[(a + ACCOUNTS - 1) % ACCOUNTS], {
      timeoutMs: 20_000,
    });
  }
}

/** A request that was answered is asked again under its key: it gets the same answer, and nothing is added. */
async function askAgain(ref: RefOf<typeof account>, a: number, n: number, claims: Claims): Promise<void> {
  if (n === 0) return;
  const message = { type: 'ADD', n, text: 'asked again', to: accountKey((a + 1) % ACCOUNTS) } as const;
  const reply = await ref.ask<AccountState>(message, { idempotencyKey: askKey(n) });
  if (reply.n !== n || reply.digest !== digestOf(a, n, claims))
    throw new Error(`${ref.key} was asked ${n} again and answers ${JSON.stringify(reply)}`);
}

function accountOf(key: string): number {
  return Number(key.slice(accountKey(0).length - 1));
}
