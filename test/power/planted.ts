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
  // No fault: limits that a small load reaches too.
  'small-ahead': [
    {
      module: 'ahead-store.ts',
      text: '{ group: 4 << 20, relaxed: 16 << 20 }',
      instead: '{ group: 9_000, relaxed: 16_000 }',
    },
    { module: 'ahead-store.ts', text: '128 << 10', instead: '3_000' },
  ],
  'no-sync': [{ module: 'ahead-store.ts', text: '(isFlushed ? (DSYNC ?? 0) : 0)', instead: '0' }],
  'no-database-sync': [{ module: 'lmdb-store.ts', text: DURABLE, instead: '{ overlappingSync: false, noSync: true }' }],
  'early-acknowledgement': [
    {
      module: 'ahead-store.ts',
      text: '    this.#append(list);\n    this.#lastPosition = lastPosition;\n    this.#frame++;',
      instead:
        '    setTimeout(() => this.#append(list), 3);\n    this.#lastPosition = lastPosition;\n    this.#frame++;',
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
      module: 'ahead-file.ts',
      text: 'return view.getUint32(at + 4, true) === crc32Of(bytes, view, at + 8, end);',
      instead: 'return true;',
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
      const here = faults.filter(({ module }) => url.endsWith(`/${module}`));
      if (here.length === 0) return loaded;
      let source = sourceOf(loaded.source);
      for (const { text, instead } of here) {
        const parts = source.split(text);
        if (parts.length !== 2) throw new Error(`${url} does not hold once what is to be changed: ${text}`);
        source = parts.join(instead);
      }
      return { ...loaded, source };
    },
  });
}
