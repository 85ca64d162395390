import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readSchedule } from '../../../runtime/broker/schedule.ts';
import { InvalidScheduleError } from '../../../runtime/kernel/errors.ts';

const MINUTE_MS = 60_000;

const times = (expression: string, from: string, count: number, timeZone?: string): string[] => {
  const schedule = readSchedule(expression, timeZone === undefined ? {} : { timeZone });
  const found: string[] = [];
  let atMs: number | undefined = Date.parse(from);
  for (let i = 0; i < count; i++) {
    atMs = schedule.nextAfterMs(atMs as number);
    if (atMs === undefined) return [...found, 'never'];
    found.push(new Date(atMs).toISOString().replace(':00.000Z', 'Z'));
  }
  return found;
};

describe('the next time', () => {
  test.each<[string, string, string[], string?]>([
    ['*/20 * * * *', '2026-11-28T03:07:11Z', ['2026-11-28T03:20Z', '2026-11-28T03:40Z', '2026-11-28T04:00Z']],
    ['30 * * * * *', '2026-11-28T03:07:30Z', ['2026-11-28T03:08:30.000Z', '2026-11-28T03:09:30.000Z']],
    ['0 9 * * MON-FRI', '2026-11-27T09:00:00Z', ['2026-11-30T09:00Z', '2026-12-01T09:00Z']],
    ['0 0 29 2 *', '2026-01-01T00:00:00Z', ['2028-02-29T00:00Z', '2032-02-29T00:00Z']],
    ['0 0 L * *', '2026-11-30T00:00:00Z', ['2026-12-31T00:00Z', '2027-01-31T00:00Z']],
    ['0 0 * * 5#2', '2026-11-28T00:00:00Z', ['2026-12-11T00:00Z', '2027-01-08T00:00Z']],
    ['0 0 13 * FRI', '2026-11-10T00:00:00Z', ['2026-11-13T00:00Z', '2026-11-20T00:00Z']],
    ['@daily', '2026-12-31T00:00:00Z', ['2027-01-01T00:00Z']],
    ['0 0 0 1 1 * 2027', '2026-12-31T00:00:00Z', ['2027-01-01T00:00Z', 'never']],
    ['0 0 30 2 *', '2026-01-01T00:00:00Z', ['never']],
    ['0 9 * * *', '2026-07-01T00:00:00Z', ['2026-07-01T03:30Z', '2026-07-02T03:30Z'], 'Asia/Kolkata'],
  ])('%s after %s', (expression, from, expected, timeZone) => {
    expect(times(expression, from, expected.length, timeZone)).toEqual(expected);
  });

  test('SC1: a time that is due is not due again, and one that is a millisecond away is', () => {
    const schedule = readSchedule('0 * * * *');
    const due = Date.parse('2026-11-28T04:00:00Z');
    expect(schedule.nextAfterMs(due - 1)).toBe(due);
    expect(schedule.nextAfterMs(due)).toBe(due + 60 * MINUTE_MS);
    expect(schedule.nextAfterMs(due + 1)).toBe(due + 60 * MINUTE_MS);
  });

  test('SC1: it is what looking at every minute finds', () => {
    const field = (
      min: number,
      max: number,
    ): fc.Arbitrary<{ readonly text: string; readonly allows: (n: number) => boolean }> =>
      fc.oneof(
        fc.constant({ text: '*', allows: () => true }),
        fc.integer({ min, max }).map((one) => ({ text: String(one), allows: (n: number) => n === one })),
        fc.tuple(fc.integer({ min, max }), fc.integer({ min, max })).map((pair) => {
          const [low, high] = pair.sort((a, b) => a - b) as [number, number];
          return { text: `${low}-${high}`, allows: (n: number) => n >= low && n <= high };
        }),
        fc
          .integer({ min: 2, max: 9 })
          .map((step) => ({ text: `*/${step}`, allows: (n: number) => (n - min) % step === 0 })),
      );
    fc.assert(
      fc.property(
        field(0, 59),
        field(0, 23),
        field(1, 12),
        fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2030, 0) }),
        (minute, hour, month, fromMs) => {
          const next = readSchedule(`${minute.text} ${hour.text} * ${month.text} *`).nextAfterMs(fromMs) as number;
          const isDue = (atMs: number): boolean => {
            const at = new Date(atMs);
            return (
              minute.allows(at.getUTCMinutes()) && hour.allows(at.getUTCHours()) && month.allows(at.getUTCMonth() + 1)
            );
          };
          expect(next % MINUTE_MS).toBe(0);
          expect(isDue(next)).toBe(true);
          let atMs = Math.floor(fromMs / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
          // A month that is far away is not walked to minute by minute.
          while (!month.allows(new Date(atMs).getUTCMonth() + 1))
            atMs = Date.UTC(new Date(atMs).getUTCFullYear(), new Date(atMs).getUTCMonth() + 1);
          while (!isDue(atMs)) atMs += MINUTE_MS;
          expect(new Date(next).toISOString()).toBe(new Date(atMs).toISOString());
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('SC2: summer time', () => {
  // Berlin: 2026-03-29 02:00 becomes 03:00 (01:00Z); 2026-10-25 03:00 becomes 02:00 (01:00Z).
  test.each<[string, string, string, string[]]>([
    [
      'a time that is skipped is due after the gap',
      '30 2 * * *',
      '2026-03-28T12:00:00Z',
      ['2026-03-29T01:00Z', '2026-03-30T00:30Z'],
    ],
    [
      'repeated times that are skipped are not',
      '*/30 2 * * *',
      '2026-03-28T12:00:00Z',
      ['2026-03-30T00:00Z', '2026-03-30T00:30Z'],
    ],
    [
      'every half hour goes on',
      '*/30 * * * *',
      '2026-03-29T00:15:00Z',
      ['2026-03-29T00:30Z', '2026-03-29T01:00Z', '2026-03-29T01:30Z'],
    ],
    [
      'a time that comes twice is due once',
      '30 2 * * *',
      '2026-10-24T12:00:00Z',
      ['2026-10-25T00:30Z', '2026-10-26T01:30Z'],
    ],
    [
      'repeated times are due in both hours',
      '*/30 2 * * *',
      '2026-10-24T12:00:00Z',
      ['2026-10-25T00:00Z', '2026-10-25T00:30Z', '2026-10-25T01:00Z', '2026-10-25T01:30Z', '2026-10-26T01:00Z'],
    ],
    ['nine o’clock is nine o’clock', '0 9 * * *', '2026-10-24T00:00:00Z', ['2026-10-24T07:00Z', '2026-10-25T08:00Z']],
  ])('%s', (_what, expression, from, expected) => {
    expect(times(expression, from, expected.length, 'Europe/Berlin')).toEqual(expected);
  });

  test('half an hour, and midnight that does not exist', () => {
    // Lord Howe: 2026-10-04 02:00 becomes 02:30 (15:30Z the day before).
    expect(times('15 2 * * *', '2026-10-03T12:00:00Z', 1, 'Australia/Lord_Howe')).toEqual(['2026-10-03T15:30Z']);
    // Beirut: 2026-03-29 00:00 becomes 01:00 (22:00Z the day before).
    expect(times('0 0 * * *', '2026-03-28T12:00:00Z', 1, 'Asia/Beirut')).toEqual(['2026-03-28T22:00Z']);
  });

  test('without a zone it is UTC, wherever the machine is', () => {
    const before = process.env['TZ'];
    process.env['TZ'] = 'America/New_York';
    try {
      expect(times('0 9 * * *', '2026-07-01T00:00:00Z', 1)).toEqual(['2026-07-01T09:00Z']);
    } finally {
      if (before === undefined) delete process.env['TZ'];
      else process.env['TZ'] = before;
    }
  });
});

describe('bad expressions', () => {
  const faultOf = (expression: unknown, timeZone?: string): Record<string, unknown> => {
    try {
      readSchedule(expression as string, timeZone === undefined ? {} : { timeZone });
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidScheduleError);
      return { ...(error as InvalidScheduleError).details, message: (error as Error).message };
    }
    throw new Error('it passed');
  };

  test.each([
    ['60 * * * *', 'minute', '60', 0],
    ['* 24 * * *', 'hour', '24', 2],
    ['0 0  32 * *', 'day of month', '32', 5],
    ['0 0 * FOO *', 'month', 'FOO', 6],
    ['0 0 * * 8', 'day of week', '8', 8],
    ['a 0 0 * * *', 'second', 'a', 0],
    ['0 0 0 1 1 * 99999', 'year', '99999', 12],
    ['5-1 * * * *', 'minute', '5-1', 0],
    ['*/0 * * * *', 'minute', '*/0', 0],
    ['1,,2 * * * *', 'minute', '1,,2', 0],
    ['0 0 * * MON+1', 'day of week', 'MON+1', 8],
  ])('%s: the %s', (expression, field, value, position) => {
    const fault = faultOf(expression);
    expect(fault).toMatchObject({ expression, field, value, position });
    expect(fault['message']).toContain(`${field} ${JSON.stringify(value)}, at character ${position + 1}`);
  });

  test.each([
    '',
    '   ',
    '* * * *',
    '* * * * * * * *',
    '@reboot',
    '@sometimes',
    '2030-01-01T00:00:00',
    'a'.repeat(10_000),
    undefined,
    null,
    7,
    {},
  ])('%j', (expression) => {
    expect(String(faultOf(expression)['message'])).toContain('is not valid');
  });

  test.each(['Mars/Olympus', '', 'Europe/Berlin\0', 7])('time zone %j', (timeZone) => {
    expect(faultOf('* * * * *', timeZone as string)).toMatchObject({ timeZone });
  });

  test('a time that is none', () => {
    expect(() => readSchedule('* * * * *').nextAfterMs(Number.NaN)).toThrow(InvalidScheduleError);
  });
});
