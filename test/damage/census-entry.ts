/**
 * The process that takes the census of damaged folders, one after another. It may be ended by any of them: that is what is to be
 * seen. With `DAMAGE_SUMS=off` the sums of turns are not looked at: a planted fault.
 */
import { BatchReader } from '../../runtime/journal/batch-reader.ts';
import {
  H_BODY_BYTES,
  H_BODY_START,
  HEADER_BYTES,
  P_SENDS,
  P_TURNS,
  SEND_BYTES,
} from '../../runtime/journal/batch-layout.ts';
import { replace } from '../crash/replace.ts';
import { census, type Questions } from './census.ts';

if (process.env['DAMAGE_SUMS'] === 'off') {
  replace(BatchReader.prototype, 'damage', () => () => undefined);
  replace(BatchReader.prototype, 'isSeatedAt', () => () => true);
  const rangeOf = ({ headersStart, view }: BatchReader, at: number): { start: number; end: number } => {
    const bodies =
      headersStart + view.getUint32(P_TURNS, true) * HEADER_BYTES + view.getUint32(P_SENDS, true) * SEND_BYTES;
    const start = bodies + view.getUint32(at + H_BODY_START, true);
    return { start, end: start + view.getUint32(at + H_BODY_BYTES, true) };
  };
  replace(
    BatchReader.prototype,
    'body',
    () =>
      function (this: BatchReader, at: number) {
        const { start, end } = rangeOf(this, at);
        return this.bytes.subarray(start, end);
      },
  );
  replace(
    BatchReader.prototype,
    'rawTurn',
    () =>
      function (this: BatchReader, at: number, position: number) {
        return { position, bytes: this.bytes, view: this.view, at, ...rangeOf(this, at) };
      },
  );
}

const troubles: string[] = [];
process.on('uncaughtException', (error) => troubles.push(`uncaught: ${error.stack ?? error.message}`));
process.on('unhandledRejection', (error) =>
  troubles.push(`unhandled: ${error instanceof Error ? error.stack : String(error)}`),
);

process.on('message', (questions: Questions) => {
  void census(questions).then(
    (answers) => process.send?.({ answers, troubles: troubles.splice(0) }),
    (error: unknown) =>
      process.send?.({
        failed: error instanceof Error ? (error.stack ?? error.message) : String(error),
        troubles: troubles.splice(0),
      }),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
