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
  replace(
    BatchReader.prototype,
    'body',
    () =>
      function (this: BatchReader, at: number) {
        const sends = this.headersStart + this.view.getUint32(P_TURNS, true) * HEADER_BYTES;
        const start =
          sends + this.view.getUint32(P_SENDS, true) * SEND_BYTES + this.view.getUint32(at + H_BODY_START, true);
        return this.bytes.subarray(start, start + this.view.getUint32(at + H_BODY_BYTES, true));
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
