/** The transport contract on every transport that we ship. */
import { MessageChannel, Worker } from 'node:worker_threads';
import { describe, test } from 'vitest';
import { systemClock } from '../../runtime/kernel/clock.ts';
import { type MakeTransportPair, transportContract } from '../../runtime/testing/transport-contract.ts';
import { createLocalFramePorts } from '../../runtime/transport/local-frame-port.ts';
import { createPortFramePort } from '../../runtime/transport/port-frame-port.ts';

const localPair: MakeTransportPair = () => {
  const [a, b] = createLocalFramePorts(systemClock);
  return {
    a,
    b,
    dispose: () => {
      a.close();
      b.close();
    },
  };
};

const channelPair: MakeTransportPair = () => {
  const { port1, port2 } = new MessageChannel();
  return {
    a: createPortFramePort(port1),
    b: createPortFramePort(port2),
    dispose: () => {
      port1.close();
      port2.close();
    },
  };
};

describe.each([
  ['a pair in one thread', localPair],
  ['a MessageChannel', channelPair],
])('%s', (_name, makePair) => {
  test.each(transportContract)('$name', ({ run }) => run(makePair));
});

describe('MessagePorts by way of another thread', () => {
  const workers = new Set<Worker>();
  const makePair: MakeTransportPair = () => {
    const left = new MessageChannel();
    const right = new MessageChannel();
    const worker = new Worker(new URL('./transport-relay.ts', import.meta.url), {
      workerData: { left: left.port2, right: right.port2 },
      transferList: [left.port2, right.port2],
    });
    workers.add(worker);
    return {
      a: createPortFramePort(left.port1),
      b: createPortFramePort(right.port1),
      dispose: async () => {
        left.port1.close();
        right.port1.close();
        await worker.terminate();
        workers.delete(worker);
      },
    };
  };
  test.each(transportContract)('$name', ({ run }) => run(makePair));
});
