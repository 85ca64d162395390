/** Which adapter a URL is for. Owns: loading it, when it is needed and not before. */
import type { Clock } from '../kernel/clock.ts';
import { InvalidOptionsError } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import type { BrokerAdapter } from './broker-adapter.ts';
import type { ResolvedBrokerOptions } from './broker-options.ts';
import { messageIds } from './message-id.ts';

export async function adapterOf(options: ResolvedBrokerOptions, clock: Clock, random: Random): Promise<BrokerAdapter> {
  const { scheme, adapter, system, name, url, rememberedLimit, deadLettersLimit } = options;
  switch (scheme) {
    case 'custom':
      if (adapter === undefined) throw new InvalidOptionsError('adapter: none was given');
      return adapter;
    case 'memory': {
      if (system === undefined) throw new InvalidOptionsError('system: an embedded broker needs one');
      const { EmbeddedAdapter } = await import('./adapters/embedded-adapter.ts');
      return new EmbeddedAdapter({
        system,
        broker: name,
        clock,
        newInstance: messageIds(() => clock.now(), random),
        rememberedLimit,
        lettersLimit: deadLettersLimit,
      });
    }
    case 'redis': {
      const { RedisAdapter } = await import('./adapters/redis/redis-adapter.ts');
      return new RedisAdapter({ name, url, clock, random });
    }
    case 'nats': {
      const { NatsAdapter } = await import('./adapters/nats/nats-adapter.ts');
      return new NatsAdapter({ name, url, clock, random });
    }
  }
}
