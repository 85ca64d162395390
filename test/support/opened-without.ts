/**
 * Opens an adapter in a process in which some packages are not installed, and says what came of it: `<url> <packages, by commas>`.
 *
 * `a=b`: package `a` is there, and is `b`.
 */
import { registerHooks } from 'node:module';
import { ownName, Told } from './adapter-bench.ts';

const [url = '', packages = ''] = process.argv.slice(2);
const known = new Map(
  packages.split(',').map((one) => {
    const [missing = '', instead] = one.split('=');
    return [missing, instead] as const;
  }),
);
registerHooks({
  resolve(specifier, context, next) {
    if (!known.has(specifier)) return next(specifier, context);
    const instead = known.get(specifier);
    if (instead !== undefined) return next(instead, context);
    throw Object.assign(new Error(`Cannot find package '${specifier}'`), { code: 'ERR_MODULE_NOT_FOUND' });
  },
});
const name = ownName('without');
const { adapterOf } = await import('../../runtime/broker/adapter-choice.ts');
const { resolveBrokerOptions } = await import('../../runtime/broker/broker-options.ts');
const { systemClock } = await import('../../runtime/kernel/clock.ts');
const { systemRandom } = await import('../../runtime/kernel/random.ts');
const adapter = await adapterOf(resolveBrokerOptions({ name, url, env: {} }), systemClock, systemRandom);
try {
  await adapter.open(new Told());
  await adapter.listen('news', undefined, () => {});
  console.log(JSON.stringify({ opened: name }));
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  console.log(JSON.stringify({ code, message }));
}
await adapter.close();
process.exit(0);
