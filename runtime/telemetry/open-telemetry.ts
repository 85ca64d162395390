/**
 * The door to `@opentelemetry/api`, which may not be installed, and mostly has nothing registered with it.
 *
 * Owns: when the package is loaded: at the first use after the application has registered a provider, and never before. A thread
 * counts for itself: what the main thread has registered is not there in a host.
 *
 * Required, not imported: an import that may fail needs a top-level await, and a module with one cannot be `require`d by anybody.
 */
import { createRequire } from 'node:module';

type Api = typeof import('@opentelemetry/api');

/** Where every copy of the API, of any 1.x version, keeps what is registered. */
const GLOBAL_KEY = Symbol.for('opentelemetry.js.api.1');

const packageRequire = createRequire(import.meta.url);
let api: Api | undefined;
let absent = false;

/** The API, if the application has registered a provider of `kind` in this thread. */
export function openTelemetry(kind: 'trace' | 'metrics'): Api | undefined {
  const registered = (globalThis as { [GLOBAL_KEY]?: Record<string, unknown> })[GLOBAL_KEY];
  if (registered?.[kind] === undefined || absent) return undefined;
  if (api === undefined) {
    try {
      api = packageRequire('@opentelemetry/api') as Api;
    } catch {
      // Registered by a copy that we cannot reach, as in a bundle: then there is no telemetry from here.
      absent = true;
    }
  }
  return api;
}

/** Name under which tracers and meters are asked for. */
export const SCOPE = 'collaborative-blocks';
