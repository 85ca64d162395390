/**
 * The process that runs the actors, seen from outside.
 *
 * Owns: starting it, its messages, ending it by SIGKILL, and telling an end that was wanted from one that was not.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { RunMessage, RunOptions, RunOrder } from './run-messages.ts';

const ENTRY = fileURLToPath(new URL('./run.ts', import.meta.url));

export class RunProcess {
  readonly #child: ChildProcess;
  /** Resolves with whether the process went to its end by itself. */
  readonly ended: Promise<boolean>;

  constructor(options: RunOptions, onMessage: (message: RunMessage) => void) {
    this.#child = fork(ENTRY, [JSON.stringify(options)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (message) => onMessage(message as RunMessage));
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', (code) => resolve(code === 0));
    });
  }

  order(order: RunOrder): void {
    this.#child.send(order);
  }

  /** Ends it as a power cut ends a program: without a word. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
