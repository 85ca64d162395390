/**
 * The machine that fails: a small disk, the shim's orders, and the process that lives on it; and what it has said.
 *
 * Owns: starting and ending the process, and the check of what it finds against what was acknowledged before.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { REPOSITORY } from '../../bench/environment.ts';
import { until } from '../support/until.ts';
import type { MachineOrder, MachineWorld } from './machine-process.ts';

const PROCESS = fileURLToPath(new URL('./machine-process.ts', import.meta.url));
const SHIM_SOURCE = fileURLToPath(new URL('./shim.c', import.meta.url));
const COMPILED = join(REPOSITORY, '.tmp', 'compile-cache');
const LONGEST_MS = 120_000;
const DISK_MB = 14;

/** What a process may say when its machine fails: by name, and one may go on from there. */
const TYPED = new Set([
  'STORAGE_FULL',
  'STORAGE_FAILED',
  'SYSTEM_STOPPED',
  'DATA_FOLDER_READ_ONLY',
  'DATA_FOLDER_LOCKED',
  'DATA_DAMAGED',
  'HOST_LOST',
  'TELL_TIMEOUT',
  'ASK_TIMEOUT',
]);

type Word = readonly [word: string, value: unknown];

export class Life {
  readonly said: Word[] = [];
  readonly child: ChildProcess;
  readonly #ended: Promise<number | string>;
  complaints = '';

  constructor(child: ChildProcess, heard: (word: Word) => void) {
    this.child = child;
    child.stderr?.on('data', (text) => (this.complaints += String(text)));
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => {
      let word: Word;
      try {
        word = JSON.parse(line) as Word;
      } catch {
        return;
      }
      this.said.push(word);
      heard(word);
    });
    this.#ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal ?? 'gone')));
    child.stdin?.on('error', () => {});
  }

  count(name: string): number {
    return this.said.filter(([word]) => word === name).length;
  }

  has(name: string, value?: unknown): boolean {
    return this.said.some(([word, what]) => word === name && (value === undefined || what === value));
  }

  tell(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Until it has acknowledged so many more. */
  async works(more = 60): Promise<void> {
    const before = this.count('ADDED');
    const isEnough = (): boolean => this.count('ADDED') >= before + more;
    await until(`${more} acknowledgements`, () => isEnough() || this.isOver || this.has('FAILED'), LONGEST_MS);
    if (this.has('FAILED'))
      throw new Error(`it failed while it worked: ${JSON.stringify(this.said.find(([word]) => word === 'FAILED'))}`);
    if (this.isOver) throw new Error(`it ended while it worked: ${this.complaints.slice(-800)}`);
  }

  async says(name: string, value?: string): Promise<void> {
    await until(`${name} ${value ?? ''}`, () => this.has(name, value) || this.isOver, LONGEST_MS);
    if (!this.has(name, value)) throw new Error(`it ended without ${name}: ${this.complaints.slice(-800)}`);
  }

  async kill(): Promise<number | string> {
    this.child.kill('SIGKILL');
    return this.#ended;
  }

  ended(): Promise<number | string> {
    return this.#ended;
  }
}

export class Machine implements Disposable {
  readonly folder: string;
  readonly faults: string[] = [];
  journeys = 2;
  readonly #added = [0, 0, 0];
  readonly #asked = [0, 0];
  #spawned = 0;
  #mounted = false;
  readonly #lives: Life[] = [];
  /** What was acknowledged when the last copy was begun. */
  #atCopy: { added: number[]; asked: number[]; spawned: number } | undefined;
  readonly #early: boolean;

  constructor(folder: string, options: { readonly early?: boolean } = {}) {
    this.folder = folder;
    this.#early = options.early ?? false;
    mkdirSync(this.disk, { recursive: true });
    this.order(0, 0, 0);
  }

  get disk(): string {
    return join(this.folder, 'disk');
  }

  get dataDir(): string {
    return join(this.disk, 'data');
  }

  get acknowledged(): number {
    return this.#added.reduce((sum, n) => sum + n, 0) + this.#asked.reduce((sum, n) => sum + n, 0) + this.#spawned;
  }

  mount(): void {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m`, 'tmpfs', this.disk], { stdio: 'ignore' });
    this.#mounted = true;
  }

  remount(how: 'ro' | 'rw'): void {
    execFileSync('mount', ['-o', `remount,${how}`, this.disk], { stdio: 'ignore' });
  }

  /** What the shim does from now on. */
  order(aheadS: number, writeErrno: number, syncErrno: number): void {
    const bytes = Buffer.alloc(16);
    bytes.writeBigInt64LE(BigInt(aheadS), 0);
    bytes.writeInt32LE(writeErrno, 8);
    bytes.writeInt32LE(syncErrno, 12);
    // In place: the process has the file mapped.
    const fd = openSync(this.#orders, existsSync(this.#orders) ? 'r+' : 'w+');
    writeSync(fd, bytes, 0, 16, 0);
    closeSync(fd);
  }

  fill(): void {
    const fd = openSync(join(this.disk, 'ballast'), 'a');
    const chunk = Buffer.alloc(64 << 10);
    try {
      for (;;) if (writeSync(fd, chunk) < chunk.length) break;
    } catch {
      // That is all there is.
    } finally {
      closeSync(fd);
    }
  }

  empty(): void {
    rmSync(join(this.disk, 'ballast'), { force: true });
  }

  /** `handles`: how many it may have. */
  start(task: MachineOrder['task'], options: { readonly handles?: number; readonly shim?: boolean } = {}): Life {
    const order: MachineOrder = {
      dataDir: this.dataDir,
      sink: join(this.folder, 'sink'),
      task,
      spawned: this.#spawned,
      early: this.#early,
      journeys: this.journeys,
    };
    const argv = [PROCESS, JSON.stringify(order)];
    const limited = options.handles === undefined ? '' : `ulimit -n ${options.handles}; `;
    const child = spawn('sh', ['-c', `${limited}exec "$@"`, 'sh', process.execPath, ...argv], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...process.env,
        NODE_COMPILE_CACHE: COMPILED,
        CB_MACHINE_ORDERS: this.#orders,
        ...(options.shim === true ? { LD_PRELOAD: compiledShim() } : {}),
      },
    });
    const life = new Life(child, (word) => this.#heard(word));
    this.#lives.push(life);
    return life;
  }

  /** Nothing acknowledged is missing, nothing twice, everything begun is finished. */
  async settle(aheadS = 0): Promise<void> {
    this.order(aheadS, 0, 0);
    const life = this.start('settle', { shim: aheadS !== 0 });
    const code = await withDeadline(life);
    const word = life.said.find(([name]) => name === 'SETTLED');
    if (word === undefined) {
      const last = JSON.stringify(life.said.at(-1));
      this.faults.push(`the last process did not settle (${code}): ${last} ${life.complaints.slice(-1_000)}`);
      return;
    }
    this.#check(word[1] as MachineWorld);
  }

  copied(): void {
    this.#atCopy = { added: [...this.#added], asked: [...this.#asked], spawned: this.#spawned };
  }

  /** The folder is what it was at the copy: what was acknowledged since is gone with it. */
  restored(): void {
    const copy = this.#atCopy;
    if (copy === undefined) throw new Error('there is no copy');
    this.#added.splice(0, 3, ...copy.added);
    this.#asked.splice(0, 2, ...copy.asked);
    this.#spawned = copy.spawned;
  }

  [Symbol.dispose](): void {
    for (const life of this.#lives) if (!life.isOver) life.child.kill('SIGKILL');
    if (this.#mounted) execFileSync('umount', ['-l', this.disk], { stdio: 'ignore' });
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #orders(): string {
    return join(this.folder, 'orders');
  }

  #heard([word, value]: Word): void {
    const {
      i = 0,
      n = 0,
      code,
      message,
    } = (value ?? {}) as { i?: number; n?: number; code?: string; message?: string };
    switch (word) {
      case 'ADDED':
        this.#added[i] = Math.max(this.#added[i] ?? 0, n);
        break;
      case 'ASKED':
        this.#asked[i] = Math.max(this.#asked[i] ?? 0, n);
        break;
      case 'SPAWNED':
        this.#spawned = Math.max(this.#spawned, (value as number) + 1);
        break;
      case 'REFUSED':
      case 'FAILED':
      case 'NOT STARTED':
      case 'NOT COPIED':
        if (!TYPED.has(code ?? '')) this.faults.push(`${word.toLowerCase()} without a name: ${code}: ${message}`);
        break;
      case 'BLOCKED':
      case 'UNHANDLED':
        this.faults.push(`${word.toLowerCase()}: ${JSON.stringify(value)}`);
        break;
    }
  }

  #check({ ledgers, journeys, spawned }: MachineWorld): void {
    const { faults } = this;
    for (const [i, { n, peer, gaps, doubles }] of ledgers.entries()) {
      const acked = this.#added[i] ?? 0;
      const sent = ledgers[(i + ledgers.length - 1) % ledgers.length]?.n ?? 0;
      if (n < acked) faults.push(`ledger ${i}: ${acked} was acknowledged, it has ${n}`);
      if (peer !== sent) faults.push(`ledger ${i}: its neighbour has sent ${sent}, it has ${peer}`);
      if (gaps + doubles > 0) faults.push(`ledger ${i}: ${gaps} gaps, ${doubles} doubles`);
    }
    for (const [i, { asked, done }] of journeys.entries()) {
      if (asked < (this.#asked[i] ?? 0))
        faults.push(`journey ${i}: ${this.#asked[i]} were acknowledged, it has ${asked}`);
      if (done !== asked)
        faults.push(`journey ${i}: ${asked} asked, ${done} done: a timer, an effect or a child is stranded`);
    }
    if (spawned < this.#spawned) faults.push(`${this.#spawned} spawns were acknowledged, ${spawned} are there`);
  }
}

async function withDeadline(life: Life): Promise<number | string> {
  const timer = setTimeout(() => life.child.kill('SIGKILL'), LONGEST_MS);
  try {
    return await life.ended();
  } finally {
    clearTimeout(timer);
  }
}

let shim: string | undefined;

function compiledShim(): string {
  if (shim !== undefined) return shim;
  const folder = join(REPOSITORY, '.tmp', 'machine-shim');
  mkdirSync(folder, { recursive: true });
  const made = join(folder, `shim.${process.pid}.so`);
  execFileSync('cc', ['-O1', '-shared', '-fPIC', '-o', made, SHIM_SOURCE, '-ldl'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const file = join(folder, 'shim.so');
  renameSync(made, file);
  shim = file;
  return file;
}

/** What this machine cannot do; undefined when it can do everything. */
export function machineMissing(): string | undefined {
  if (process.platform !== 'linux') return 'Linux, whose loader and file systems are needed';
  if (process.getuid?.() !== 0) return 'the right to mount a small disk';
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
  } catch {
    return 'cc, which is needed to compile the shim';
  }
  const probe = join(REPOSITORY, '.tmp', `mount-probe-${process.pid}`);
  mkdirSync(probe, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe], { stdio: 'ignore' });
    execFileSync('umount', [probe], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'the right to mount a small disk';
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

/** The errno of a name, as the shim wants it. */
export const ERRNO = { EIO: 5, EROFS: 30, EDQUOT: 122 } as const;
