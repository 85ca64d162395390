/** Recovery: what a crash leaves is found again, nothing twice and nothing missing. */
import { describe, expect, test } from 'vitest';
import { PRELUDE_BYTES } from '../../../runtime/journal/batch-layout.ts';
import { MemoryStore } from '../../../runtime/journal/memory-store.ts';
import { placementOf } from '../../../runtime/kernel/address.ts';
import { keysOn, Rig, send, turn } from './journal-rig.ts';

const messagesOf = (envelopes: readonly { readonly message: unknown }[]): unknown[] =>
  envelopes.map((one) => one.message);

describe('loading', () => {
  test('without an image: all turns, and messages that nobody consumed, in order, with their ids', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    host.write(
      turn('cell/a', 1, { intents: [send('cell/b', 'one'), send('cell/b', 'volatile', false), send('cell/b', 'two')] }),
    );
    host.write(turn('cell/a', 2, { intents: [send('cell/b', 'three'), send('cell/c', 'four')] }));
    host.write(
      turn('cell/b', 1, { envelope: { to: 'cell/b', message: 'one', id: { stream: 0, position: 1, index: 0 } } }),
    );
    const after = await rig.crash();
    const next = after.host(0, 2);
    const [a, b, c, none] = next.load('cell/a', 'cell/b', 'cell/c', 'cell/none');
    expect(a?.turns.map((one) => one.sequence)).toEqual([1, 2]);
    expect(a?.pending).toEqual([]);
    expect(b?.turns).toHaveLength(1);
    expect(b?.pending).toEqual([
      { to: 'cell/b', message: 'two', id: { stream: 0, position: 1, index: 2 } },
      { to: 'cell/b', message: 'three', id: { stream: 0, position: 2, index: 0 } },
    ]);
    expect(messagesOf(c?.pending ?? [])).toEqual(['four']);
    expect(none).toEqual({ key: 'cell/none', image: undefined, turns: [], pending: [] });
    expect(after.report).toMatchObject({ run: 2, end: 4, checkpoint: 1, tailTurns: 3, damaged: [] });
  });

  test('with an image: only what it has not received, by stream and lane', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    const stop = (to: string) => ({
      kind: 'send' as const,
      envelope: { to, message: undefined, control: { kind: 'stop' as const, reason: { kind: 'shutdown' as const } } },
      durable: true,
    });
    host.write(turn('cell/a', 1, { intents: [send('cell/b', 1), stop('cell/b'), send('cell/b', 2)] }));
    host.write(turn('cell/a', 2, { intents: [send('cell/b', 3), stop('cell/b')] }));
    host.write(turn('cell/b', 1), turn('cell/b', 2));
    host.image('cell/b', 1, {
      received: [
        { stream: 0, lane: 'user', position: 1, index: 2 },
        { stream: 0, lane: 'signal', position: 1, index: 0 },
        { stream: 5, lane: 'user', position: 99, index: 0 },
      ],
    });
    const [cell] = (await rig.crash()).host(0, 2).load('cell/b');
    expect(cell?.image?.sequence).toBe(1);
    expect(cell?.turns.map((one) => one.sequence)).toEqual([2]);
    expect(cell?.pending.map((one) => one.control?.kind ?? one.message)).toEqual(['stop', 3, 'stop']);
  });

  test('values come back as they were sent, from bytes of the log', async () => {
    const rig = await Rig.open();
    const message = {
      at: new Date(5),
      big: 10n,
      set: new Set([1]),
      map: new Map([['k', 1]]),
      error: new RangeError('r'),
    };
    rig.host().write(turn('cell/a', 1, { intents: [send('cell/b', message)] }));
    const [cell] = (await rig.crash()).host(0, 2).load('cell/b');
    const found = cell?.pending[0]?.message as typeof message;
    expect({ ...found, error: undefined }).toEqual({ ...message, error: undefined });
    expect(found.error.message).toBe('r');
  });

  test('a cell that was unloaded in peace has an image and nothing else', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    host.write(turn('cell/a', 1, { intents: [send('cell/a', 'self')] }));
    host.image('cell/a', 1, { received: [{ stream: 0, lane: 'user', position: 1, index: 0 }] });
    const [cell] = (await rig.crash()).host(0, 2).load('cell/a');
    expect(cell).toMatchObject({ turns: [], pending: [] });
    expect(host.load('cell/a')[0]).toEqual(cell);
  });
});

describe('recover', () => {
  test('wakes what has pending messages, obligations after its image, or a time that has come', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    host.write(
      turn('cell/idle', 1),
      turn('cell/obliged', 1, { obliged: true }),
      turn('cell/freed', 1, { obliged: true }),
    );
    host.write(turn('cell/freed', 2), turn('cell/imaged', 1, { obliged: true, intents: [send('cell/pending', 1)] }));
    host.image('cell/imaged', 1);
    host.image('cell/due', 4, { wakeAtMs: 5 });
    const after = await rig.crash();
    expect([...(await after.control.recover(0)).wake].sort()).toEqual(['cell/due', 'cell/obliged', 'cell/pending']);
  });

  test('each slot hears of its own cells', async () => {
    const rig = await Rig.open({ hosts: 2 });
    const host = rig.host(0);
    const keys = [...keysOn(0, 2, 3), ...keysOn(1, 2, 3)];
    host.write(turn('cell/x', 1, { intents: keys.map((key) => send(key, 1)) }));
    const after = await rig.crash({ hosts: 2 });
    for (const slot of [0, 1]) {
      const { wake, end } = await after.control.recover(slot);
      expect([...wake].sort()).toEqual(keys.filter((key) => placementOf(key, 2) === slot).sort());
      expect(end).toBe(2);
    }
  });

  test('a dead host: its turns of this run are found, and what it sent is to be sent again', async () => {
    const rig = await Rig.open({ hosts: 2 });
    const [mine] = keysOn(0, 2, 1) as [string];
    const [other, third] = keysOn(1, 2, 2) as [string, string];
    for (const slot of [0, 1]) expect((await rig.control.recover(slot)).resend).toEqual([]);
    const [a, b] = [rig.host(0), rig.host(1)];
    a.write(turn(mine, 1, { intents: [send(other, 'one'), send(third, 'two'), send(mine, 'self')], obliged: true }));
    a.write(turn(mine, 2, { intents: [send(other, 'three')] }));
    b.write(turn(other, 1, { envelope: { to: other, message: 'one', id: { stream: 0, position: 1, index: 0 } } }));
    await rig.control.fence(0, 2);
    const recovery = await rig.control.recover(0);
    expect(recovery.wake).toEqual([mine]);
    expect(recovery.end).toBe(4);
    expect(recovery.resend).toEqual([
      { to: third, message: 'two', id: { stream: 0, position: 1, index: 1 } },
      { to: other, message: 'three', id: { stream: 0, position: 2, index: 0 } },
    ]);
    const [cell] = rig.host(0, 2).load(mine);
    expect(cell?.turns.map((one) => one.sequence)).toEqual([1, 2]);
    expect(messagesOf(cell?.pending ?? [])).toEqual(['self']);
    expect(b.of('fenced')).toEqual([]);
  });

  test('answers to calls of this run, of the slot that died', async () => {
    const rig = await Rig.open({ hosts: 2 });
    const [mine] = keysOn(0, 2, 1) as [string];
    const [other] = keysOn(1, 2, 1) as [string];
    for (const slot of [0, 1]) await rig.control.recover(slot);
    const [a, b] = [rig.host(0), rig.host(1)];
    const reply = (call: number, run: number, value: unknown) => ({
      kind: 'reply' as const,
      to: { kind: 'outside' as const, call, run },
      value,
    });
    const error = { name: 'E', code: 'C', message: 'm' };
    a.write(
      turn(mine, 1, {
        intents: [reply(1, 1, { ok: true }), { kind: 'reply', to: { kind: 'cell', key: other, ask: 'q' }, value: 2 }],
      }),
      turn(mine, 2, {
        intents: [{ kind: 'fail', to: { kind: 'outside', call: 2, run: 1 }, error }, reply(3, 99, 'of another run')],
      }),
    );
    b.write(turn(other, 1, { intents: [reply(4, 1, 'alive')] }));
    await rig.control.fence(0, 2);
    expect((await rig.control.recover(0)).answers).toEqual([
      { to: { kind: 'outside', call: 1, run: 1 }, value: { ok: true } },
      { to: { kind: 'outside', call: 2, run: 1 }, error },
    ]);
    const after = await rig.crash({ hosts: 2 });
    expect((await after.control.recover(0)).answers).toEqual([]);
  });
});

describe('damage', () => {
  /** A journal after a crash, with the log rows changed on the disk. */
  const damagedRig = async (rig: Rig, change: (bytes: Uint8Array, row: number) => void): Promise<Rig> => {
    const content = rig.content();
    const log = content.log.map(({ position, bytes }, row) => {
      const copy = Uint8Array.from(bytes);
      change(copy, row);
      return { position, bytes: copy };
    });
    return Rig.open({}, new MemoryStore({ content: { ...content, log } }));
  };
  const flipLast = (bytes: Uint8Array): void => {
    (bytes[bytes.length - 1] as number) ^= 1;
  };

  test('a damaged turn is reported with its position; its cell is not served, the others are', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    host.write(
      turn('cell/a', 1),
      turn('cell/b', 1),
      turn('cell/c', 1, { intents: [send('cell/d', 'lost'), send('cell/e', 'kept')] }),
    );
    host.write(
      turn('cell/a', 2),
      turn('cell/e', 1, { envelope: { to: 'cell/e', message: 'kept', id: { stream: 0, position: 5, index: 0 } } }),
    );
    // The last body of the first row is the one of cell/c.
    const after = await damagedRig(rig, (bytes, row) => row === 0 && flipLast(bytes));
    expect(after.report.damaged).toHaveLength(1);
    expect(after.report.damaged[0]).toMatchObject({
      position: 1,
      error: { code: 'DATA_DAMAGED', details: { turns: [3], cells: ['cell/c'], receivers: ['cell/d', 'cell/e'] } },
    });
    const [a, b, c, d, e] = after.host(0, 2).load('cell/a', 'cell/b', 'cell/c', 'cell/d', 'cell/e');
    expect([a?.turns.length, b?.turns.length, a?.damage, b?.damage]).toEqual([2, 1, undefined, undefined]);
    expect(c).toMatchObject({ turns: [], pending: [], damage: { code: 'DATA_DAMAGED' } });
    expect(d?.damage?.code).toBe('DATA_DAMAGED');
    // It has gone on beyond the lost message in that stream: it had it.
    expect(e?.damage).toBeUndefined();
    expect([...(await after.control.recover(0)).wake].sort()).toEqual(['cell/c', 'cell/d']);
    await expect(after.control.turns('cell/a')).resolves.toHaveLength(2);
    await expect(after.control.turns('cell/c')).rejects.toThrowError(/damaged/);
  });

  test("R2: a lost row in the middle is anybody's: not opened, until that was accepted; then a gap, in report and cell", async () => {
    const rig = await Rig.open();
    const host = rig.host();
    for (let i = 1; i <= 3; i++) host.write(turn('cell/a', i));
    const content = rig.content();
    const lost = { ...content, log: content.log.filter((_, i) => i !== 1) };
    await expect(Rig.open({}, new MemoryStore({ content: lost }))).rejects.toMatchObject({
      code: 'DATA_DAMAGED',
      details: { table: 'log', positions: [2] },
    });
    const accepted = new MemoryStore({ content: lost });
    accepted.commit((writes) => writes.meta('accepted', 3));
    const after = await Rig.open({}, accepted);
    expect(after.report.damaged).toMatchObject([{ position: 2 }]);
    expect(after.host(0, 2).load('cell/a')[0]?.damage?.message).toMatch(/no turn 2/);
  });

  test('a damaged prelude loses the batch; positions are never given twice', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    host.write(turn('cell/a', 1), turn('cell/b', 1));
    const after = await damagedRig(rig, (bytes) => ((bytes[9] as number) ^= 1));
    expect(after.report.damaged).toMatchObject([{ position: 1, error: { details: { cells: ['cell/a', 'cell/b'] } } }]);
    expect(after.report.end).toBeGreaterThanOrEqual(3);
    await expect(damagedRig(rig, (bytes) => bytes.fill(0, 0, PRELUDE_BYTES))).rejects.toMatchObject({
      code: 'DATA_DAMAGED',
    });
  });

  test('a damaged image', async () => {
    const rig = await Rig.open();
    rig.host().image('cell/a', 1);
    const content = rig.content();
    const row = Uint8Array.from(content.images.get('cell/a') as Uint8Array);
    flipLast(row);
    const after = await Rig.open({}, new MemoryStore({ content: { ...content, images: new Map([['cell/a', row]]) } }));
    expect(after.host(0, 2).load('cell/a')[0]?.damage).toMatchObject({
      code: 'DATA_DAMAGED',
      details: { table: 'image' },
    });
    await expect(after.control.image('cell/a')).rejects.toThrowError(/damaged/);
  });

  test('a damaged image holds up no checkpoint, whether its cell was loaded before or is summoned for it', async () => {
    for (const isLoaded of [true, false]) {
      const rig = await Rig.open();
      rig.host().image('cell/a', 1);
      rig.host(0, 2).write(turn('cell/a', 2));
      const content = rig.content();
      const row = Uint8Array.from(content.images.get('cell/a') as Uint8Array);
      flipLast(row);
      const after = await Rig.open(
        {},
        new MemoryStore({ content: { ...content, images: new Map([['cell/a', row]]) } }),
      );
      await after.control.recover(0);
      const host = after.host(0, 3);
      host.onWake = isLoaded ? () => {} : (keys) => host.journal.load(keys, () => {});
      if (isLoaded) expect(host.load('cell/a')[0]?.damage?.code).toBe('DATA_DAMAGED');
      expect(await after.settle(after.control.checkpoint())).toBe(2);
    }
  });

  test('R2: damage outlives the checkpoint and the next crash, until a new image is put', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    host.image('cell/a', 1);
    host.write(turn('cell/b', 1), turn('cell/a', 2));
    let now = await damagedRig(rig, flipLast);
    await now.control.recover(0);
    let next = now.host(0, 2);
    next.onWake = (keys) => next.journal.load(keys, () => {});
    expect(await now.settle(now.control.checkpoint())).toBe(3);
    expect(next.load('cell/a')[0]?.damage).toBeDefined();
    now = await now.crash();
    expect(now.report.damaged).toEqual([]);
    expect((await now.control.recover(0)).wake).toEqual(['cell/a']);
    next = now.host(0, 3);
    expect(next.load('cell/a')[0]?.damage?.message).toMatch(/position 2/);
    await now.settle(
      now.control.putImage({ key: 'cell/a', sequence: 2, received: [], wakeAtMs: undefined, body: 'repaired' }),
    );
    expect(next.load('cell/a')[0]).toMatchObject({ image: { body: 'repaired' }, turns: [] });
    now = await now.crash();
    expect(now.host(0, 4).load('cell/a')[0]?.damage).toBeUndefined();
  });
});
