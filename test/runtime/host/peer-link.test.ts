/** A link whose peer is replaced: what is kept, what is dropped, in which order. */
import { expect, test } from 'vitest';
import { PeerLink } from '../../../runtime/host/peer-link.ts';
import { systemClock } from '../../../runtime/kernel/clock.ts';
import { createLocalFramePorts } from '../../../runtime/transport/local-frame-port.ts';

const pair = (): { link: PeerLink; connect: (from: number) => unknown[] } => {
  const make = (received: unknown[]): PeerLink =>
    new PeerLink({
      clock: systemClock,
      onFrame: (items, accept) => {
        received.push(...items);
        accept();
      },
      onLost: () => {},
      onRefused: () => {},
    });
  const link = make([]);
  return {
    link,
    connect(from) {
      const received: unknown[] = [];
      const [near, far] = createLocalFramePorts(systemClock);
      make(received).up(far, 0);
      link.up(near, from);
      return received;
    },
  };
};

const settled = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) {
    await new Promise<void>((resolve) => {
      systemClock.defer(resolve);
    });
  }
};

test('while down, items are kept in order; those that the successor has from the journal are dropped', async () => {
  const { link, connect } = pair();
  for (const mark of [3, 4, 5, 6]) link.push(`m${mark}`, mark);
  link.push('unmarked');
  const received = connect(5);
  link.push('after', 7);
  await settled();
  expect(received).toEqual(['m5', 'm6', 'unmarked', 'after']);
});

test('with `from` Infinity nothing that was kept is sent: whoever pushed it sends it again', async () => {
  const { link, connect } = pair();
  connect(0);
  link.down();
  link.push('call 1');
  link.push('marked', 9);
  const received = connect(Number.POSITIVE_INFINITY);
  link.push('call 1 again');
  await settled();
  expect(received).toEqual(['call 1 again']);
});

test('an abandoned link takes nothing more', async () => {
  const { link } = pair();
  link.push('kept');
  link.abandon();
  link.push('more');
  expect(link.oldestUnacknowledgedMark()).toBeUndefined();
});
