/**
 * Faults of the runtime, planted into the process that is killed: each is what the proof exists to find.
 *
 *     CB_PLANTED_FAULT=early_effects node --import ./test/crash/planted-faults.ts …
 */
import { ahead, replace } from './replace.ts';

export type ControlFault = 'early_receipts' | 'early_effects' | 'no_keys';

const FAULTS: Readonly<Record<ControlFault, () => Promise<void>>> = {
  /** A tell resolves when it is sent. */
  async early_receipts() {
    const { Calls } = await import('../../runtime/system/calls.ts');
    replace(
      Calls.prototype,
      'deliver',
      (deliver) =>
        function (this: InstanceType<typeof Calls>, envelope, isAsk, options) {
          if (isAsk || options.settle === undefined) return deliver.call(this, envelope, isAsk, options);
          options.settle.resolve(undefined);
          deliver.call(this, envelope, isAsk, { ...options, settle: { resolve: () => {}, reject: () => {} } });
        },
    );
  },

  /** An effect starts with its turn, not with the turn's commit. */
  async early_effects() {
    const { CommitQueue } = await import('../../runtime/host/commit-queue.ts');
    const { EffectRunner } = await import('../../runtime/host/effect-runner.ts');
    const { Releaser } = await import('../../runtime/host/release.ts');
    let releaser: InstanceType<typeof Releaser> | undefined;
    ahead(Releaser.prototype, 'flushReceipts', (self) => {
      releaser = self;
    });
    ahead(CommitQueue.prototype, 'push', (_, [turn]) => {
      const { cell, intents, ...rest } = turn as Parameters<typeof CommitQueue.prototype.push>[0];
      const effects = intents.filter(({ kind }) => kind === 'effect.start');
      const envelope = { to: cell.key, message: undefined };
      if (effects.length > 0) releaser?.finish({ ...rest, cell, intents: effects, envelope, view: undefined }, -1);
    });
    const begun = new Set<string>();
    replace(
      EffectRunner.prototype,
      'start',
      (start) =>
        function (this: InstanceType<typeof EffectRunner>, cell, id, started) {
          const name = `${cell.key} ${id} ${started}`;
          if (!begun.delete(name)) {
            begun.add(name);
            start.call(this, cell, id, started);
          }
        },
    );
  },

  /** A request is handled again, whatever its key. */
  async no_keys() {
    const { Host } = await import('../../runtime/host/host.ts');
    replace(
      Host.prototype,
      'deliver',
      (deliver) =>
        function (this: InstanceType<typeof Host>, { idempotencyKey: _, ...envelope }) {
          return deliver.call(this, envelope);
        },
    );
  },
};

const planted = process.env['CB_PLANTED_FAULT'] ?? '';
if (planted in FAULTS) await FAULTS[planted as ControlFault]();
