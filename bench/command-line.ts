/**
 * What `npm run bench -- …` is asked to do.
 *
 * Owns: the options, their defaults, and what is said about wrong ones. Does nothing itself.
 */
import { parseArgs } from 'node:util';
import type { Workload } from './contract.ts';
import { type Part, resultsPath } from './results-file.ts';
import { ALL, PARTS } from './workload-list.ts';

export const HELP = `npm run bench -- [options]

  --peers         what users would otherwise pick, beside us; installs it into .tmp/peers first, starts servers of its own
  --growth        how cost grows: with size, batch, actors, hosts, length of the log
  --quick         a run of two to three minutes: short samples, small data sets
  --only NAME     only this workload, or only its contender: NAME/CONTENDER; may be given several times.
                  Then nothing is written unless --json says where
  --json FILE     where to write the results (default: bench/results/latest.json, peers.json, growth.json,
                  with --quick quick.json, …-quick.json)
  --rounds N      samples of each contender (default 5, with --quick 3)
  --sample-ms N   how long a sample takes (default 600, with --growth 300, with --quick 75)
  --against DIR   compare the library here with that of another checkout (or of a commit), on the workloads of --only:
                  --rounds starts of both (default 10) with two pairs of samples of --sample-ms (default 300) each;
                  writes nothing
  --readme        draw the plots of bench/results, and put them and the tables into README.md, between its markers;
                  measures nothing
  --profile DIR   write a CPU profile of every thread of every contender to DIR; the figures are then worth less
  --list          the workloads, with their contenders (* baselines)
  --help          this

Each contender runs in a process of its own; rounds are interleaved. See bench/README.md for what is measured and what is not.
`;

const QUICK = { rounds: 3, sampleMs: 75 };
const FULL = { rounds: 5, sampleMs: 600 };
const GROWTH = { rounds: 5, sampleMs: 300 };
const AGAINST = { rounds: 10, sampleMs: 300 };

/** Said in plain words, without a stack. */
export class UsageError extends Error {}

/** A run, of whatever kind. */
export interface RunOptions {
  readonly part: Part;
  readonly quick: boolean;
  readonly workloads: readonly Workload[];
  readonly rounds: number;
  readonly sampleMs: number;
  readonly profileDir: string | undefined;
}

export type Command =
  | { readonly kind: 'help' | 'list' | 'readme' }
  | ({ readonly kind: 'run'; readonly json: string | undefined } & RunOptions)
  | ({ readonly kind: 'against'; readonly against: string } & RunOptions);

type Values = ReturnType<typeof readArguments>['values'];

export function parseCommand(args: readonly string[]): Command {
  const { values } = readArguments(args);
  if (values.help === true) return { kind: 'help' };
  if (values.list === true) return { kind: 'list' };
  if (values.readme === true) return { kind: 'readme' };
  const quick = values.quick === true;
  if (values.peers === true && values.growth === true) throw new UsageError('--peers and --growth are two runs');
  const part: Part = values.peers === true ? 'peers' : values.growth === true ? 'growth' : 'main';
  const usual = values.against !== undefined ? AGAINST : quick ? QUICK : part === 'growth' ? GROWTH : FULL;
  const options: RunOptions = {
    part,
    quick,
    workloads: selected(part, values.only),
    rounds: wholeNumber('--rounds', values.rounds, usual.rounds),
    sampleMs: wholeNumber('--sample-ms', values['sample-ms'], usual.sampleMs),
    profileDir: values.profile,
  };
  if (values.against === undefined) return { kind: 'run', json: jsonPath(values, part, quick), ...options };
  if (values.json !== undefined) throw new UsageError('--against writes no file: leave out --json');
  return { kind: 'against', against: values.against, ...options };
}

function readArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        quick: { type: 'boolean' },
        only: { type: 'string', multiple: true },
        json: { type: 'string' },
        rounds: { type: 'string' },
        'sample-ms': { type: 'string' },
        against: { type: 'string' },
        peers: { type: 'boolean' },
        growth: { type: 'boolean' },
        readme: { type: 'boolean' },
        profile: { type: 'string' },
        list: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(name: string, given: string | undefined, usual: number): number {
  const number = given === undefined ? usual : Number(given);
  if (!Number.isInteger(number) || number < 1)
    throw new UsageError(`${name} ${given}: not a whole number of 1 or more`);
  return number;
}

function selected(part: Part, names: readonly string[] | undefined): readonly Workload[] {
  if (names === undefined) return PARTS[part];
  const chosen = new Map<string, Workload>();
  for (const given of names) {
    const [name = '', contender] = given.split('/');
    const whole = ALL.find((workload) => workload.name === name);
    if (whole === undefined) {
      throw new UsageError(`--only ${given}: no such workload (known: ${ALL.map((one) => one.name).join(', ')})`);
    }
    const wanted = whole.contenders.filter((one) => contender === undefined || one.name === contender);
    if (wanted.length === 0) {
      const known = whole.contenders.map((one) => one.name).join(', ');
      throw new UsageError(`--only ${given}: no such contender (known: ${known})`);
    }
    const before = chosen.get(name)?.contenders ?? [];
    chosen.set(name, { ...whole, contenders: [...before, ...wanted.filter((one) => !before.includes(one))] });
  }
  return [...chosen.values()];
}

function jsonPath(values: Values, part: Part, quick: boolean): string | undefined {
  if (values.json !== undefined) return values.json;
  // A part of a run, or a disturbed one, must not pass for a whole one.
  const partial = values.only !== undefined || values.profile !== undefined || values['sample-ms'] !== undefined;
  return partial ? undefined : resultsPath(part, quick);
}
