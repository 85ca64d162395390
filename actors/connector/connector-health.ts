/** What a connector says of itself. */
import type { CallFigures } from './call-guard.ts';
import type { ConnectorState } from './connector-machine.ts';
import type { DeliveryFigures } from './deliveries.ts';

export interface ConnectorHealth {
  readonly id: string;
  readonly state: ConnectorState;
  /** Since when, ms since 1970. */
  readonly sinceMs: number;
  /** Why it is not connected, or degraded; else empty. */
  readonly reason: string;
  /** Kind of its transport; `none`: handlers given with `onCommand` and `onQuery`. */
  readonly transport: string;
  readonly checks: { readonly passed: number; readonly failed: number };
  /** Times that it was connected. */
  readonly connections: number;
  /** What came in. */
  readonly deliveries: DeliveryFigures;
  /** What went out, by target; events are `$events`; over a transport, its own id. */
  readonly dependencies: Readonly<Record<string, CallFigures>>;
}
