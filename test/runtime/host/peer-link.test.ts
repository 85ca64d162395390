/** A link whose peer is replaced: what is kept, what is dropped, in which order. */
import { expect, test } from 'vitest';
import { PeerLink } from '../../../runtime/host/peer-link.ts';
import { FrameError } from '../../../runtime/kernel/errors.ts';
import { systemClock } from '../../../runtime/kernel/clock.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';
import { Link } from '../../../runtime/transport/link.ts';
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
  for (const mark of [3, 4, 5, 6]) link.push([`m${mark}`], mark);
  link.push(['unmarked']);
  const received = connect(5);
  link.push(['after'], 7);
  await settled();
  expect(received).toEqual([['m5'], ['m6'], ['unmarked'], ['after']]);
});

test('with `from` Infinity nothing that was kept is sent: whoever pushed it sends it again', async () => {
  const { link, connect } = pair();
  connect(0);
  link.down();
  link.push(['call 1']);
  link.push(['marked'], 9);
  const received = connect(Number.POSITIVE_INFINITY);
  link.push(['call 1 again']);
  await settled();
  expect(received).toEqual([['call 1 again']]);
});

test('an abandoned link takes nothing more', async () => {
  const { link } = pair();
  link.push(['kept']);
  link.abandon();
  link.push(['more']);
  expect(link.oldestUnacknowledgedMark()).toBeUndefined();
});

test('a frame whose items are none of ours breaks the link, on both sides', async () => {
  const [near, far] = createLocalFramePorts(systemClock);
  const lost: string[] = [];
  const peer = new PeerLink({
    clock: systemClock,
    onFrame: () => {},
    onLost: () => void lost.push('here'),
    onRefused: () => {},
  });
  peer.up(near, 0);
  const other = new Link({
    port: far,
    clock: systemClock,
    onFrame: () => {},
    onLost: (loss) => void lost.push(`there: ${loss.kind}`),
    onRefused: () => {},
  });
  other.push([1, 99, 'a message to a name that was never given']);
  await settled();
  expect(lost).toEqual(['here', 'there: broken']);
});

test('a message that cannot be carried comes back as it was pushed', async () => {
  const [near, far] = createLocalFramePorts(systemClock);
  const refused: unknown[] = [];
  const received: unknown[] = [];
  const make = (): PeerLink =>
    new PeerLink({
      clock: systemClock,
      onFrame: (items, accept) => {
        received.push(...items);
        accept();
      },
      onLost: () => {},
      onRefused: (item) => void refused.push(item),
    });
  const link = make();
  link.up(near, 0);
  make().up(far, 0);
  const to = 'counter/a';
  const bad = { to, message: () => 1, from: 'counter/b', id: { stream: 0, position: 7, index: 1 } };
  for (let i = 0; i < 3; i++) link.push({ to, message: i });
  link.push(bad);
  link.push({ to, message: 'last' });
  await settled();
  expect(refused).toMatchObject([bad]);
  expect((received as Envelope[]).map(({ message }) => message)).toEqual([0, 1, 2, 'last']);
  expect((received as Envelope[]).every((envelope) => envelope.to === to)).toBe(true);
});

test('a word that its owner refuses breaks the link; one to a peer that is down is lost', async () => {
  const [near, far] = createLocalFramePorts(systemClock);
  const lost: string[] = [];
  const make = (name: string): PeerLink =>
    new PeerLink({
      clock: systemClock,
      onFrame: () => {},
      onWord: () => {
        throw new FrameError('none of ours');
      },
      onLost: (loss) => void lost.push(`${name}: ${loss.kind}`),
      onRefused: () => {},
    });
  const here = make('here');
  here.tell('to nobody');
  here.up(near, 0);
  make('there').up(far, 0);
  await settled();
  expect(lost).toEqual([]);
  here.tell('nonsense');
  await settled();
  expect(lost).toEqual(['there: broken', 'here: broken']);
});
