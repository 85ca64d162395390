/** CT3: what comlink would do for whoever holds the port. */
import { once } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { type HostControl, serveControl } from '../../../runtime/host/control-plane.ts';

test.each<[string, unknown]>([
  [
    'writes to a prototype',
    { id: '1', type: 'SET', path: ['stats', '__proto__', 'polluted'], value: { type: 'RAW', value: 1 } },
  ],
  [
    'runs text',
    { id: '1', type: 'CONSTRUCT', path: ['stats', 'constructor'], argumentList: [{ type: 'RAW', value: 'return 1' }] },
  ],
  ['reads', { id: '1', type: 'GET', path: ['stats', 'name'] }],
  ['asks for another port', { id: '1', type: 'ENDPOINT', path: [] }],
  ['ends the service', { id: '1', type: 'RELEASE', path: [] }],
  [
    'throws in the argument',
    { id: '1', type: 'APPLY', path: ['stats'], argumentList: [{ type: 'HANDLER', name: 'throw', value: {} }] },
  ],
  ['is no call', 5],
])('%s: not served, and the next call is', async (_what, message) => {
  const { port1, port2 } = new MessageChannel();
  serveControl(port1, { stats: () => 'served' } as unknown as HostControl);
  const answered = once(port2, 'message');
  port2.postMessage(message);
  port2.postMessage({ id: '2', type: 'APPLY', path: ['stats'], argumentList: [] });
  expect(await answered).toMatchObject([{ id: '2', value: { value: 'served' } }]);
  expect(Object.hasOwn(Function.prototype, 'polluted')).toBe(false);
  port1.close();
});
