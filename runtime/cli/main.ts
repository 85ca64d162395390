#!/usr/bin/env node
/**
 * The command line: looks into a data folder that no system has open, and saves what can be saved of a damaged one.
 *
 * Owns: arguments, exit codes and output. What is found is the doctor's.
 *
 * Exit codes: 0 all is well; 1 something needs attention (damage, blocked actors, a loss); 2 the command could not be done.
 */
import { parseArgs } from 'node:util';
import { BlocksError, InvalidOptionsError } from '../kernel/errors.ts';
import { examineDataFolder } from '../doctor/examination.ts';
import { copyFolder, lettersIn, turnsIn } from '../doctor/folder-queries.ts';
import { repairDataFolder } from '../doctor/repair.ts';
import { blockedText, examinationText, lettersText, repairText, turnsText } from './command-text.ts';

const HELP = `collaborative-blocks: looks into the data folder of a system that is not running

  doctor  FOLDER                    what is in it, and what is damaged; reads everything, writes nothing
  doctor  FOLDER --repair NEW       saves what can be read into the new folder NEW; FOLDER stays as it is
  blocked FOLDER                    actors that cannot be brought back, with the diagnosis
  history FOLDER DEFINITION/ID      an actor's turns (--from N, --to N, --limit N)
  letters FOLDER                    messages that were set aside (--after ID, --limit N)
  backup  FOLDER NEW                a copy; of a running system: system.backup(NEW)

  --json    for programs
  --help

Exit codes: 0 all is well, 1 something needs attention (damage, blocked actors, a loss), 2 the command could not be done.
`;

const LIMIT = 1_000;
const FINE = 0;
const ATTENTION = 1;
const FAILED = 2;

interface Outcome {
  readonly value: unknown;
  readonly text: string;
  readonly code: number;
}

const OPTIONS = {
  repair: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  limit: { type: 'string' },
  after: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

type Values = {
  readonly [K in keyof typeof OPTIONS]?: ((typeof OPTIONS)[K]['type'] extends 'string' ? string : boolean) | undefined;
};

async function run(args: readonly string[], values: Values): Promise<Outcome> {
  const [command, folder, other, ...more] = args;
  const takesOther = command === 'history' || command === 'backup';
  if (command === undefined || folder === undefined || more.length > 0 || (other !== undefined) !== takesOther)
    throw new InvalidOptionsError(
      `${['collaborative-blocks', ...args].join(' ')}: these are no arguments of a command\n\n${HELP}`,
    );
  switch (command) {
    case 'doctor': {
      if (values.repair === undefined) {
        const found = examineDataFolder(folder);
        const isWell = found.damage.length === 0 && found.blocked.length === 0;
        return { value: found, text: examinationText(found), code: isWell ? FINE : ATTENTION };
      }
      const repair = await repairDataFolder(folder, values.repair);
      const isWhole =
        repair.lost.length === 0 &&
        repair.unaccounted.length === 0 &&
        repair.nameless === 0 &&
        repair.after.damage.length === 0 &&
        repair.after.blocked.length === 0;
      return { value: repair, text: repairText(repair), code: isWhole ? FINE : ATTENTION };
    }
    case 'blocked': {
      const { blocked } = examineDataFolder(folder);
      return { value: blocked, text: blockedText(blocked), code: blocked.length === 0 ? FINE : ATTENTION };
    }
    case 'history': {
      const range = {
        fromSequence: numberOf('from', values.from),
        toSequence: numberOf('to', values.to),
        limit: numberOf('limit', values.limit) ?? LIMIT,
      };
      const turns = turnsIn(folder, other as string, range);
      return { value: turns, text: turnsText(turns), code: FINE };
    }
    case 'letters': {
      const letters = lettersIn(folder, { after: values.after, limit: numberOf('limit', values.limit) ?? LIMIT });
      const isWell = letters.every(({ reason }) => reason !== 'damaged');
      return { value: letters, text: lettersText(letters), code: isWell ? FINE : ATTENTION };
    }
    case 'backup':
      copyFolder(folder, other as string);
      return { value: { path: folder, target: other }, text: `${folder} is copied to ${other}`, code: FINE };
    default:
      throw new InvalidOptionsError(`${command}: no such command\n\n${HELP}`);
  }
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new InvalidOptionsError(`--${name} ${text}: not a whole number above zero`);
}

function parse(args: string[]): { positionals: string[]; values: Values } {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new InvalidOptionsError(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
  }
}

function failed(error: unknown, json: boolean): void {
  process.exitCode = FAILED;
  const { code, message } =
    error instanceof BlocksError
      ? error
      : { code: 'INTERNAL', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  else process.stderr.write(`${code}: ${message}\n`);
}

const args = process.argv.slice(2);
try {
  const { positionals, values } = parse(args);
  if (values.help === true) {
    process.stdout.write(HELP);
  } else {
    const { value, text, code } = await run(positionals, values);
    process.stdout.write(`${values.json === true ? JSON.stringify(value, undefined, 2) : text}\n`);
    process.exitCode = code;
  }
} catch (error) {
  failed(error, args.includes('--json'));
}
