/**
 * The ground service of one airport: a foreign system, in the demo's own process, that knows HTTP and CloudEvents and nothing of actors.
 *
 * Owns: its books, in a file of its own that outlives every kill of the other process, and its strike: while it lasts, every command
 * is answered with 500. Its health check stays well all the while: that it works is not what a health check asks.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export class GroundService {
  readonly #file: string;
  readonly #server: Server;
  readonly #serviced = new Set<number>();
  readonly #onServiced: (serviced: number) => void;
  #onStrike = false;
  #refused = 0;

  constructor(file: string, onServiced: (serviced: number) => void) {
    this.#file = file;
    this.#onServiced = onServiced;
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  /** Opens the books of earlier runs; resolves with where it is. */
  async start(): Promise<string> {
    for (const line of linesOf(this.#file)) this.#serviced.add(Number(line));
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Flights that it has serviced. */
  get serviced(): ReadonlySet<number> {
    return this.#serviced;
  }

  /** Commands that it refused while it was on strike. */
  get refused(): number {
    return this.#refused;
  }

  strike(): void {
    this.#onStrike = true;
  }

  resume(): void {
    this.#onStrike = false;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    try {
      for await (const chunk of request) body += String(chunk);
    } catch {
      // The other process was killed in the middle of its request.
      return;
    }
    if (request.method === 'GET') return answer(response, 200, 'well');
    if (this.#onStrike) {
      this.#refused += 1;
      return answer(response, 500, 'on strike');
    }
    const { number } = JSON.parse(body) as { number: number };
    // It comes again when the answer was lost: the second time there is nothing to do.
    if (!this.#serviced.has(number)) {
      appendFileSync(this.#file, `${number}\n`);
      this.#serviced.add(number);
      this.#onServiced(this.#serviced.size);
    }
    return answer(response, 204, '');
  }
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' });
  response.end(body);
}

function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
}
