/** What the commands print for people. Owns: the words. */
import type { BlockedFinding, DamageFinding, Examination } from '../doctor/examination.ts';
import type { FolderLetter } from '../doctor/folder-queries.ts';
import type { PlacedTurn } from '../journal/cell-parcel.ts';
import type { Repair } from '../doctor/repair.ts';

/** Findings listed; the rest is counted. */
const LISTED = 50;

export function examinationText(found: Examination): string {
  const { path, run, checkpoint, end, trimmed, batches, turns, actors, letters, blocked, damage } = found;
  const kept = trimmed > 1 ? `, older ones trimmed below position ${trimmed}` : '';
  return [
    `${path}: opened ${run ?? 'an unknown number of'} times, ${size(found.databaseBytes)}${found.aheadBytes > 16 ? `, and ${size(found.aheadBytes)} in the file ahead of it` : ''}`,
    `  actors       ${actors}`,
    `  turns        ${turns} in ${batches} batches${kept}; next position ${end}, checkpoint ${checkpoint ?? 'unknown'}`,
    `  dead letters ${letters}`,
    ...blockedLines(blocked),
    ...damageLines(damage),
    damage.length === 0 ? '  no damage found' : '',
    damage.length === 0 ? '' : `To save what can be read: collaborative-blocks doctor ${path} --repair NEW_FOLDER`,
  ]
    .filter((line) => line !== '')
    .join('\n');
}

export function repairText(repair: Repair): string {
  const { path, target, mended, rebuilt, lost, unaccounted, nameless, after } = repair;
  return [
    `${path} was read, and what it holds is in ${target}`,
    ...listed('mended, one flipped bit each', mended),
    ...listed('rebuilt from the log', rebuilt),
    ...listed('lost, and put aside in QUARANTINE', lost),
    ...listed('missing, and it cannot be said whose it was', unaccounted),
    ...(nameless === 0 ? [] : [`  stored actors lost without a name: ${nameless}`]),
    '',
    examinationText(after),
  ].join('\n');
}

export function blockedText(blocked: readonly BlockedFinding[]): string {
  if (blocked.length === 0) return 'no actor is blocked';
  const retry = 'Each is tried again when a system starts, and by system.unblock(ref).';
  return [...blockedLines(blocked), retry].join('\n');
}

export function turnsText(turns: readonly PlacedTurn[]): string {
  if (turns.length === 0) return 'no turns are kept';
  return turns
    .map(({ sequence, position, timeMs, outcome, envelope, intents }) => {
      const what = envelope.control === undefined ? JSON.stringify(envelope.message) : `{${envelope.control.kind}}`;
      const from = envelope.from === undefined ? '' : ` from ${envelope.from}`;
      const asked = intents.length === 0 ? '' : ` -> ${intents.map(({ kind }) => kind).join(', ')}`;
      return `${sequence}  @${position}  ${time(timeMs)}  ${outcome}  ${clipped(what ?? 'undefined')}${from}${asked}`;
    })
    .join('\n');
}

export function lettersText(letters: readonly FolderLetter[]): string {
  if (letters.length === 0) return 'no dead letters';
  return letters
    .map(({ id, to, reason, timeMs, attempts, message, error }) => {
      const when = timeMs === undefined ? '' : `  ${time(timeMs)}`;
      const tries = attempts === undefined ? '' : ` after ${attempts} attempts`;
      return `${id}${when}  ${reason}${tries}  to ${to ?? 'unknown'}: ${error.message}  ${clipped(JSON.stringify(message) ?? '')}`;
    })
    .join('\n');
}

function blockedLines(blocked: readonly BlockedFinding[]): string[] {
  return listed(
    'blocked',
    blocked.map(({ key, code, reason }) => `${key}: ${code}: ${reason}`),
  );
}

function damageLines(damage: readonly DamageFinding[]): string[] {
  return listed(
    'DAMAGED',
    damage.map(
      ({ table, reason, actors }) => `${table}: ${reason}${actors === undefined ? '' : ` (${actors.join(', ')})`}`,
    ),
  );
}

function listed(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  const rest = lines.length > LISTED ? [`    and ${lines.length - LISTED} more`] : [];
  return [`  ${title}: ${lines.length}`, ...lines.slice(0, LISTED).map((line) => `    ${line}`), ...rest];
}

function size(bytes: number): string {
  return bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

function clipped(text: string): string {
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}
