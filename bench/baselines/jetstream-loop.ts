/**
 * What a message costs on JetStream without a broker: published with its id, consumed, acknowledged, written by hand.
 *
 * Owns: a NATS of its own with files, and the loop. `confirmed`: each acknowledgement is answered by the server, as is what our adapter
 * calls settled; else nobody knows whether it has arrived.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { type Order, order } from '../actors/messages.ts';
import { NOTHING, tally } from '../actors/tally.ts';
import type { Contestant, Setting } from '../contract.ts';
import { inFlight, Pace } from '../pace.ts';
import { answers, freePort, onPath, Server } from '../peers/server.ts';
import { FIRST_BATCH, MOST_A_BATCH, UNDER_WAY } from '../workloads/broker-server.ts';

const NANOS = 1_000_000;

export const missingNatsServer = (): string | undefined =>
  onPath('nats-server') ? undefined : 'nats-server is not on the PATH';

export async function ownNats(dir: string): Promise<{ port: number; note: string; stop: () => Promise<void> }> {
  const port = await freePort();
  const config = join(dir, 'nats.conf');
  await writeFile(
    config,
    `port: ${port}\nhost: 127.0.0.1\njetstream { store_dir: ${JSON.stringify(join(dir, 'js'))} }\n`,
  );
  const server = await Server.start({ command: 'nats-server', args: ['-c', config], dir, ready: () => answers(port) });
  const connection = await connect({ servers: `127.0.0.1:${port}` });
  const version = connection.info?.version ?? 'of unknown version';
  await connection.close();
  return { port, note: `nats-server ${version}, files, synced every 2 minutes`, stop: () => server.stop() };
}

export async function jetstreamLoop({ dir, sampleMs }: Setting, confirmed: boolean): Promise<Contestant> {
  const nats = await ownNats(dir);
  const connection = await connect({ servers: `127.0.0.1:${nats.port}` });
  const client = jetstream(connection, { timeout: 20_000 });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: 'ORDERS', subjects: ['orders.>'], duplicate_window: 120_000 * NANOS });
  await manager.consumers.add('ORDERS', {
    durable_name: 'handlers',
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: 50_000,
  });
  const consumer = await client.consumers.get('ORDERS', 'handlers');
  let state = NOTHING;
  let sent = 0;
  let left = 0;
  let done = (): void => {};
  const one = (): void => {
    left -= 1;
    if (left === 0) done();
  };
  const messages = await consumer.consume({
    max_messages: UNDER_WAY,
    callback: (message) => {
      state = tally(state, message.json<Order>());
      if (confirmed) void message.ackAck().then(one);
      else {
        message.ack();
        one();
      }
    },
  });
  const pace = new Pace(
    sampleMs,
    async (size) => {
      left = size;
      const settled = new Promise<void>((resolve) => {
        done = resolve;
      });
      await inFlight(size, UNDER_WAY, (i) =>
        client.publish('orders.placed', JSON.stringify(order(i)), { msgID: `m${sent++}` }),
      );
      await settled;
      await connection.flush();
      if (state.handled !== sent) throw new Error(`${state.handled} handled of ${sent}`);
      return size;
    },
    { first: FIRST_BATCH, most: MOST_A_BATCH },
  );
  await pace.warmUp();
  return {
    note: nats.note,
    sample: async () => ({ rate: await pace.rate() }),
    async close() {
      await messages.close();
      await connection.close();
      await nats.stop();
    },
  };
}
