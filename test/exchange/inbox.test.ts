import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../core/base/errors.ts';
import { ringBytesMax, ringBytesMin } from '../../core/base/limits.ts';
import { prng } from '../../core/base/prng.ts';
import { channelHeaderBytes, channelPlace, planInboxes } from '../../workers/exchange/inbox.ts';
import { layoutFrom, planOf } from './house.ts';

const numbers = layoutFrom(['i64', 'f64']);
const strings = layoutFrom(['i64', 'view']);
const mb = 1024 * 1024;

describe('the inbox plan', () => {
  test('hash: one channel from every producer in every consumer', () => {
    const plan = planOf([3, 2], [{ from: 0, to: 1, exchange: { kind: 'hash', keys: [0] }, layout: numbers }]);
    const inboxes = planInboxes(plan, 3, { slotBytes: 16 * mb, callerBytes: mb });
    expect(inboxes.inboxes.map((inbox) => inbox.groups.flatMap((g) => g.producers))).toEqual([
      [0, 1, 2],
      [0, 1, 2],
      [],
      [],
    ]);
    expect(channelPlace(plan, inboxes, 0, 2, 1)).toMatchObject({
      producer: 2,
      consumer: 1,
      bit: 2,
      ringBytes: ringBytesMax,
    });
  });

  test('forward: one channel from the subtask of the same number; a rebalance where there is none', () => {
    const same = planOf([2, 2], [{ from: 0, to: 1, exchange: { kind: 'forward' }, layout: numbers }]);
    const inboxes = planInboxes(same, 2, { slotBytes: 4 * mb, callerBytes: mb });
    expect(inboxes.inboxes.map((inbox) => inbox.groups.flatMap((g) => g.producers))).toEqual([[0], [1], []]);
    expect(channelPlace(same, inboxes, 0, 0, 1)).toBe(null);
    const other = planOf([2, 1], [{ from: 0, to: 1, exchange: { kind: 'forward' }, layout: numbers }]);
    expect(planInboxes(other, 2, { slotBytes: 4 * mb, callerBytes: mb }).inboxes[0]!.groups[0]!.producers).toEqual([
      0, 1,
    ]);
  });

  test("the caller's chains are one more participant", () => {
    const plan = planOf(
      ['caller', 2, 'caller'],
      [
        { from: 0, to: 1, exchange: { kind: 'rebalance' }, layout: numbers },
        { from: 1, to: 2, exchange: { kind: 'rebalance' }, layout: numbers },
      ],
    );
    const inboxes = planInboxes(plan, 2, { slotBytes: 4 * mb, callerBytes: 4 * mb });
    expect(channelPlace(plan, inboxes, 0, 0, 1)).toMatchObject({ producer: 2, consumer: 1 });
    expect(channelPlace(plan, inboxes, 1, 1, 0)).toMatchObject({ producer: 1, consumer: 2 });
  });

  test('nothing overlaps, everything is aligned and within the budget (random plans)', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = prng(seed);
      const slots = 1 + random.below(9);
      const chains = Array.from(
        { length: 2 + random.below(4) },
        () => (random.below(6) === 0 ? 'caller' : 1 + random.below(slots)) as number | 'caller',
      );
      const edges = Array.from({ length: 1 + random.below(6) }, () => {
        const from = random.below(chains.length - 1);
        const kinds = ['forward', 'rebalance', 'broadcast', 'hash'] as const;
        const kind = kinds[random.below(4)]!;
        return {
          from,
          to: from + 1 + random.below(chains.length - 1 - from),
          exchange: kind === 'hash' ? { kind, keys: [0] } : { kind },
          layout: random.below(2) === 0 ? numbers : strings,
        };
      });
      const plan = planOf(chains, edges);
      const slotBytes = (1 + random.below(64)) * mb;
      const inboxes = planInboxes(plan, slots, { from: 4096, slotBytes, callerBytes: 8 * mb });
      for (const inbox of inboxes.inboxes) {
        const why = `seed ${seed}, participant ${inbox.participant}`;
        const ranges: [number, number][] = [[inbox.doorbell.counter, inbox.doorbell.news + inbox.doorbell.words * 4]];
        const bits = new Set<number>();
        for (const group of inbox.groups) {
          for (const producer of group.producers) {
            const place = channelPlace(plan, inboxes, group.edge, producer, group.consumerSubtask)!;
            ranges.push([place.header, place.header + channelHeaderBytes], [place.ring, place.ring + place.ringBytes]);
            if (place.dictionaryBytes > 0)
              ranges.push([place.dictionaries, place.dictionaries + place.dictionaryBytes]);
            bits.add(place.bit);
            expect(Math.log2(place.ringBytes) % 1, why).toBe(0);
            expect(place.ringBytes, why).toBeGreaterThanOrEqual(ringBytesMin);
            expect(place.bit, why).toBeLessThan(inbox.doorbell.words * 32);
          }
        }
        expect(bits.size, why).toBe(inbox.groups.reduce((n, g) => n + g.producers.length, 0));
        ranges.sort((a, b) => a[0] - b[0]);
        expect(ranges[0]![0], why).toBe(4096);
        for (const [i, [from, to]] of ranges.entries()) {
          expect(from % 64, why).toBe(0);
          if (i > 0) expect(from, why).toBeGreaterThanOrEqual(ranges[i - 1]![1]);
          expect(to, why).toBeLessThanOrEqual(inbox.from + inbox.bytes);
        }
        expect(inbox.bytes, why).toBeLessThanOrEqual(inbox.participant === slots ? 8 * mb : slotBytes);
      }
    }
  });

  test('a budget too small for the smallest rings is an error that says what to do', () => {
    const plan = planOf([64, 64], [{ from: 0, to: 1, exchange: { kind: 'hash', keys: [0] }, layout: numbers }]);
    const make = () => planInboxes(plan, 64, { slotBytes: mb, callerBytes: mb });
    expect(make).toThrow(MillraceError);
    expect(make).toThrow(/64 incoming channels.*raise 'memory' or lower 'parallelism'/);
    expect(
      planInboxes(plan, 64, { slotBytes: 64 * (ringBytesMin + channelHeaderBytes) + 1024, callerBytes: mb }).inboxes[0]!
        .groups[0]!.ringBytes,
    ).toBe(ringBytesMin);
  });
});
