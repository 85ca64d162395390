/**
 * Processes that take the census, so that one that is ended by what it reads takes nobody along.
 *
 * Owns: starting, watching and replacing them. One that does not answer is ended: it hangs.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { Census, Questions } from './census.ts';

/** A census takes a tenth of a second; on a busy machine some. */
const HANGS_AFTER_MS = 180_000;
/** Folders after which a process is replaced: what one has left behind in its memory must not be the next one's. */
const FOLDERS_A_PROCESS = 200;

export type Taken =
  | { readonly kind: 'answered'; readonly census: Census; readonly troubles: readonly string[] }
  /** The process ended, or hung, or threw what no folder may make it throw. */
  | { readonly kind: 'died'; readonly how: string };

interface Reply {
  readonly answers?: Census;
  readonly failed?: string;
  readonly troubles: readonly string[];
}

export class CensusTaker {
  readonly #environment: Readonly<Record<string, string>>;
  #process: ChildProcess | undefined;
  #folders = 0;

  constructor(environment: Readonly<Record<string, string>> = {}) {
    this.#environment = environment;
  }

  async take(questions: Questions): Promise<Taken> {
    if (this.#folders >= FOLDERS_A_PROCESS) await this.end();
    this.#folders += 1;
    const child = (this.#process ??= await this.#start());
    const taken = await new Promise<Taken>((resolve) => {
      const settle = (result: Taken): void => {
        clearTimeout(watchdog);
        child.off('message', onMessage);
        child.off('exit', onExit);
        resolve(result);
      };
      const onMessage = (reply: Reply): void =>
        settle(
          reply.answers === undefined
            ? { kind: 'died', how: `threw ${reply.failed}` }
            : { kind: 'answered', census: reply.answers, troubles: reply.troubles },
        );
      const onExit = (code: number | null, signal: string | null): void =>
        settle({ kind: 'died', how: `ended with ${signal ?? `code ${code}`}` });
      const watchdog = setTimeout(() => {
        child.kill('SIGKILL');
        settle({ kind: 'died', how: `did not answer within ${HANGS_AFTER_MS} ms` });
      }, HANGS_AFTER_MS);
      child.on('message', onMessage as (message: unknown) => void);
      child.on('exit', onExit);
      child.send(questions);
    });
    if (taken.kind === 'died') await this.end();
    return taken;
  }

  async end(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    this.#folders = 0;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async #start(): Promise<ChildProcess> {
    const child = fork(new URL('./census-entry.ts', import.meta.url), [], {
      env: { ...process.env, ...this.#environment },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    await new Promise((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', (code) => reject(new Error(`the census process ended with ${code} before it began`)));
    });
    return child;
  }
}
