/**
 * The process that runs the actors, seen from outside.
 *
 * Owns: starting it, its messages, ending it by SIGKILL, and telling that end from others.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { RunMessage, RunOptions, RunOrder } from './run-messages.ts';

const ENTRY = fileURLToPath(new URL('./run.ts', import.meta.url));

export class RunProcess {
  readonly #child: ChildProcess;
  #killed = false;
  /** How it ended: at its end, by `kill`, or in another way. */
  readonly ended: Promise<'finished' | 'killed' | 'died'>;

  constructor(options: RunOptions, onMessage: (message: RunMessage) => void) {
    this.#child = fork(ENTRY, [JSON.stringify(options)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (message) => {
      // What was under way when it was killed is not news any more.
      if (!this.#killed) onMessage(message as RunMessage);
    });
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code) => resolve(code === 0 ? 'finished' : this.#killed ? 'killed' : 'died'));
    });
  }

  order(order: RunOrder): void {
    this.#child.send(order);
  }

  /** Ends it as a power cut ends a program: without a word. */
  kill(): void {
    this.#killed = true;
    this.#child.kill('SIGKILL');
  }
}
