/**
 * What the demo shows: lines that stay, and below them, on a terminal, a block that is drawn again and again.
 *
 * Owns: terminal or not, colours (NO_COLOR is heard), and the block. Elsewhere than on a terminal the block is a plain line a second.
 */
import { styleText } from 'node:util';
import type { Progress } from './run-messages.ts';

const BAR_CELLS = 40;
const PLAIN_EVERY_MS = 1_000;
/** Over what time the rate of turns is taken. */
const RATE_MS = 1_000;
const RATE_LEAST_MS = 150;

type Style = Parameters<typeof styleText>[0];

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function seconds(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

export class Display {
  readonly #stream: NodeJS.WriteStream;
  readonly #flights: number;
  readonly #isTerminal: boolean;
  readonly #startedMs = performance.now();
  readonly #samples: { readonly atMs: number; readonly turns: number }[] = [];
  #drawnLines = 0;
  #plainAtMs = Number.NEGATIVE_INFINITY;

  constructor(stream: NodeJS.WriteStream, flights: number) {
    this.#stream = stream;
    this.#flights = flights;
    this.#isTerminal = stream.isTTY && process.env['TERM'] !== 'dumb';
  }

  /** A line that stays. */
  line(text = ''): void {
    this.clear();
    this.#stream.write(`${text}\n`);
  }

  /** A line that stays, with the time in front. */
  event(style: Style, text: string): void {
    const at = `${((performance.now() - this.#startedMs) / 1_000).toFixed(1)} s`.padStart(7);
    this.line(`${this.style('gray', at)}  ${this.style(style, text)}`);
  }

  style(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#stream });
  }

  /** Shows how far it is. */
  progress(progress: Progress): void {
    const nowMs = performance.now();
    const rate = this.#rate(progress.turns, nowMs);
    if (this.#isTerminal) {
      this.#draw(progress, rate);
    } else if (nowMs - this.#plainAtMs >= PLAIN_EVERY_MS) {
      this.#plainAtMs = nowMs;
      this.event('reset', `${flightsLine(progress)}   ${rateOf(rate)}`);
    }
  }

  /** The process behind the figures is gone: what comes next is not to be compared with them. */
  forgetRate(): void {
    this.#samples.length = 0;
  }

  /** Takes the block away. */
  clear(): void {
    if (this.#drawnLines > 0) this.#stream.write(this.#erase());
    this.#drawnLines = 0;
  }

  /** Up to where the block begins, and away with what is below. */
  #erase(): string {
    return this.#drawnLines === 0 ? '' : `\u001b[${this.#drawnLines}A\u001b[J`;
  }

  #draw(progress: Progress, rate: number | undefined): void {
    const share = (progress.landed + progress.calledOff) / this.#flights;
    const full = Math.floor(share * BAR_CELLS);
    const hosts = progress.hosts.map(({ slot, actors }) => `host ${slot}: ${count(actors)} actors in memory`);
    const lines = [
      '',
      `  ${this.style('green', '█'.repeat(full))}${this.style('gray', '░'.repeat(BAR_CELLS - full))} ${Math.floor(share * 100)} %`,
      `  ${flightsLine(progress)}`,
      `  ${rateOf(rate)}, ${count(progress.turns)} in the journal`,
      `  ${hosts.join('   ')}`,
    ];
    const columns = this.#stream.columns || 80;
    // A line that wraps would be two to take away. Only the bar is styled, and it is short.
    const fitting = lines.map((line) => (line.includes('█') || line.includes('░') ? line : line.slice(0, columns - 1)));
    // In one piece: two would flicker.
    this.#stream.write(`${this.#erase()}${fitting.join('\n')}\n`);
    this.#drawnLines = lines.length;
  }

  #rate(turns: number, nowMs: number): number | undefined {
    this.#samples.push({ atMs: nowMs, turns });
    while (this.#samples.length > 2 && nowMs - (this.#samples[1]?.atMs ?? nowMs) >= RATE_MS) this.#samples.shift();
    const [first] = this.#samples;
    if (first === undefined || nowMs - first.atMs < RATE_LEAST_MS) return undefined;
    return ((turns - first.turns) / (nowMs - first.atMs)) * 1_000;
  }
}

function rateOf(rate: number | undefined): string {
  return `${rate === undefined ? '–' : count(rate)} turns a second`;
}

function flightsLine({ filed, waiting, atGate, inTheAir, landed, calledOff }: Progress): string {
  return (
    `${count(filed)} scheduled   ${count(waiting)} waiting   ${count(atGate)} at a gate   ` +
    `${count(inTheAir)} in the air   ${count(landed)} landed   ${count(calledOff)} called off`
  );
}
