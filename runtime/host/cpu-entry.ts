/**
 * What a thread of the CPU pool runs: a named function of a user's module.
 *
 * Owns: finding the function. Cancelling is piscina's: it ends the thread.
 */
import type { EffectContext } from '../kernel/behavior.ts';
import { InvalidDefinitionError } from '../kernel/errors.ts';

interface Task {
  readonly work: { readonly module: string; readonly name: string };
  readonly context: Omit<EffectContext, 'signal' | 'actors'>;
}

export async function runEffect({ work, context }: Task): Promise<unknown> {
  const exported = (await import(work.module)) as Record<string, unknown>;
  const effect = exported[work.name];
  if (typeof effect !== 'function') {
    throw new InvalidDefinitionError(`module ${work.module} exports no function "${work.name}" for a pooled effect`);
  }
  return (effect as (context: Omit<EffectContext, 'signal' | 'actors'>) => unknown)(context);
}
