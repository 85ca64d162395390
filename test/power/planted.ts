/**
 * Faults planted for the controls, and limits made small: a module of the runtime is changed while it is loaded, in the processes of that control only.
 *
 * Owns: the list, and the hook. It is loaded with `--import`, and the fault's name is in POWER_PLANTED. Worker threads inherit both.
 */
import { type LoadFnOutput, registerHooks } from 'node:module';

interface Planted {
  /** End of the module's address. */
  readonly module: string;
  /** Stands there once. */
  readonly text: string;
  readonly instead: string;
}

const DURABLE = '{ overlappingSync: false, safeRestore: true }';

export const PLANTED = {
  // No fault: a limit that a small load reaches too.
  'small-ahead': [{ module: 'relaxed-store.ts', text: '16 << 20', instead: '16 << 10' }],
  'no-sync': [{ module: 'lmdb-store.ts', text: DURABLE, instead: '{ overlappingSync: false, noSync: true }' }],
  'early-acknowledgement': [
    {
      module: 'lmdb-store.ts',
      text: 'this.#root.transactionSync(() => list.writeTo(this.#writes));',
      instead: 'setTimeout(() => this.#root.transactionSync(() => list.writeTo(this.#writes)), 3);',
    },
  ],
  'no-names': [
    {
      module: 'durable-files.ts',
      text: 'fsyncSync(fd);\n  } catch (error) {',
      instead: '} catch (error) {',
    },
  ],
  'no-safe-restore': [
    { module: 'lmdb-store.ts', text: DURABLE, instead: '{ overlappingSync: true, safeRestore: false }' },
  ],
  'no-sums': [
    {
      module: 'relaxed-store.ts',
      text: 'if (sum !== crc32Of(bytes, view, at + 8, end)) break;',
      instead: '',
    },
  ],
} as const satisfies Record<string, readonly Planted[]>;

export type PlantedName = keyof typeof PLANTED;

const name = process.env['POWER_PLANTED'] as PlantedName | undefined;
const faults: readonly Planted[] = name === undefined ? [] : PLANTED[name];

function sourceOf(source: LoadFnOutput['source']): string {
  if (typeof source === 'string') return source;
  return source instanceof Uint8Array ? Buffer.from(source).toString() : '';
}

if (faults.length > 0) {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const fault = faults.find(({ module }) => url.endsWith(`/${module}`));
      if (fault === undefined) return loaded;
      const parts = sourceOf(loaded.source).split(fault.text);
      if (parts.length !== 2) throw new Error(`${url} does not hold once what is to be changed: ${fault.text}`);
      return { ...loaded, source: parts.join(fault.instead) };
    },
  });
}
