/** The Nexmark source against a plain reference of its own, its proportions, and that it is the same however it is read. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { nexmarkSource } from '../../connectors/nexmark/nexmark.ts';
import { type EventKind, type NexmarkOptions, nexmarkFields, rowsAmong } from '../../connectors/nexmark/options.ts';
import { layoutOf } from '../../core/record/layout.ts';
import { testSlot } from '../support/slot.ts';
import { type ReadOptions, readAll, readerContext, specOf, type Value } from './support.ts';

const kinds = ['person', 'auction', 'bid'] as const;
const startMs = Date.parse('2015-07-15T00:00:00Z');
const defaults: Omit<NexmarkOptions, 'of'> = {
  events: 10_000, seed: 0, rate: 10_000, paced: false, startMs, disorderMs: 0, hot: { auctions: 2, bidders: 4, sellers: 4 },
}; // biome-ignore format: a table

const read = async (of: EventKind, options: Partial<NexmarkOptions> = {}, more: ReadOptions = {}) =>
  (await readAll(nexmarkSource, specOf('nexmark', { ...defaults, of, ...options }), more)).rows;

// The reference: as docs/connectors/nexmark.md says, in plain JavaScript.

const u64 = (v: bigint): bigint => BigInt.asUintN(64, v);
function draw(seed: bigint, n: number | bigint): bigint {
  let z = u64(seed + BigInt(n) * 0x9e3779b97f4a7c15n);
  z = u64((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = u64((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}
const high = (x: bigint, range: number): number => Number(((x >> 32n) * BigInt(range)) >> 32n);
const low = (x: bigint, range: number): number => Number(((x & 0xffffffffn) * BigInt(range)) >> 32n);

function seedOf(seed: number, name: string, purpose: string): bigint {
  let hash = 0xcbf29ce484222325n ^ BigInt(seed);
  for (const byte of Buffer.from(`${purpose}\0${name}`)) hash = u64((hash ^ BigInt(byte)) * 0x100000001b3n);
  return u64(hash * 0x9e3779b97f4a7c15n);
}

function word(seed: bigint, length: number, special: string): string {
  let text = '';
  for (let i = 0; i < length; i++) {
    const bits = (draw(seed, i >> 2) >> BigInt(16 * (i & 3))) & 0xffffn;
    const v = Number((bits * 338n) >> 16n);
    const plain = v >= 26 || i === 0 || i === length - 1;
    text += plain ? String.fromCharCode(97 + (v % 26)) : special;
  }
  return text;
}

const powers: number[] = [];
for (let i = 0, power = 1; i < 4096; i++, power *= 1.0033786221027048) powers.push(power);
function price(x: bigint): number {
  const h = Number(x & 0xfffffffffffffn) * 7.489403280470645e-19;
  const rest = 1 + h * (1 + h * (0.5 + h * (0.16666666666666666 + h * 0.041666666666666664)));
  return Math.floor(powers[Number(x >> 52n)]! * rest * 100 + 0.5);
}

const names = 'Peter Paul Luke John Saul Vicky Kate Julie Sarah Deiter Walter'
  .split(' ')
  .flatMap((first) =>
    'Shultz Abrams Spencer White Bartels Walton Smith Jones Noris'.split(' ').map((last) => `${first} ${last}`),
  );
const cities = 'Phoenix,Los Angeles,San Francisco,Boise,Portland,Bend,Redmond,Seattle,Kent,Cheyenne'.split(',');
const states = 'AZ CA ID OR WA WY'.split(' ');

function reference(options: NexmarkOptions): (n: number) => { of: EventKind; row: Value[] } {
  const { seed, rate, disorderMs, hot } = options;
  const pools = new Map<number, string>();
  const pool = (): string => {
    const made =
      pools.get(0) ??
      Array.from({ length: 66_560 }, (_, i) =>
        String.fromCharCode(97 + high(draw(seedOf(seed, 'extra', 'nexmark letters'), i), 26)),
      ).join('');
    pools.set(0, made);
    return made;
  };
  const extra = (x: bigint, size: number, average: number): string => {
    if (size > average) return '';
    const wanted = average - size;
    const delta = Math.floor(wanted * 0.2 + 0.5);
    const length = wanted - delta + high(x, 2 * delta);
    const from = Number(x & 0xffffn);
    return pool().slice(from, from + length);
  };
  return (n) => {
    const epoch = Math.floor(n / 50);
    const place = n % 50;
    const of: EventKind = place < 1 ? 'person' : place < 4 ? 'auction' : 'bid';
    const chance = (name: string, purpose = 'values'): bigint =>
      draw(seedOf(seed, name, `nexmark ${of} ${purpose}`), n);
    const lastAuction = of === 'auction' ? epoch * 3 + place - 1 : epoch * 3 + 2;
    const at = startMs + Math.floor(n * (1000 / rate)) + (disorderMs > 1 ? high(chance('dateTime'), disorderMs) : 0);
    const personOf = (x: bigint, ratio: number, second: number): bigint => {
      if (low(x, ratio) > 0) return BigInt(1000 + Math.floor(epoch / 100) * 100 + second);
      const people = epoch + 1;
      const active = Math.min(people, 1000);
      return BigInt(1000 + people - active + high(x, active + 10));
    };
    if (of === 'person') {
      const name = names[high(chance('name'), names.length)]!;
      const x = chance('emailAddress');
      const y = chance('emailAddress', 'letters');
      const email = `${word(y, 3 + Number(x & 3n), ' ')}@${word(u64(~y), 3 + Number((x >> 2n) & 1n), ' ')}.com`;
      const c = chance('creditCard');
      const card = [0n, 16n, 32n, 48n]
        .map((shift) => String((((c >> shift) & 0xffffn) * 10_000n) >> 16n).padStart(4, '0'))
        .join(' ');
      const city = cities[high(chance('city'), cities.length)]!;
      const state = states[high(chance('state'), states.length)]!;
      const size = 8 + name.length + email.length + 19 + city.length + 2;
      return {
        of,
        row: [BigInt(1000 + epoch), name, email, card, city, state, BigInt(at), extra(chance('extra'), size, 200)],
      };
    }
    if (of === 'auction') {
      const itemName = word(chance('itemName', 'letters'), 3 + high(chance('itemName'), 17), ' ');
      const description = word(chance('description', 'letters'), 3 + high(chance('description'), 97), ' ');
      const first = price(chance('initialBid'));
      const life = Math.max(1, 2 * Math.floor((1666 * 1000) / rate));
      const size = 48 + itemName.length + description.length;
      return {
        of,
        row: [
          BigInt(1000 + lastAuction), itemName, description, BigInt(first), BigInt(first + price(chance('reserve'))), BigInt(at),
          BigInt(at + 1 + high(chance('expires'), life)), personOf(chance('seller'), hot.sellers, 0),
          BigInt(10 + high(chance('category'), 5)), extra(chance('extra'), size, 500),
        ],
      }; // biome-ignore format: as the columns stand
    }
    const x = chance('auction');
    const least = Math.max(0, lastAuction - 100);
    const auction =
      low(x, hot.auctions) > 0 ? Math.floor(lastAuction / 100) * 100 : least + high(x, lastAuction - least + 11);
    const c = chance('channel');
    const entry = (c & 1n) !== 0n ? Number((c >> 1n) & 3n) : 4 + high(c, 10_000);
    const channel = entry < 4 ? ['Google', 'Facebook', 'Baidu', 'Apple'][entry]! : `channel-${entry - 4}`;
    const u = draw(seedOf(seed, 'url', 'nexmark bid values'), entry);
    const letters = seedOf(seed, 'url', 'nexmark bid letters');
    const dirs = [0, 1, 2].map((d) => word(draw(letters, entry * 4 + d), 3 + Number((u >> BigInt(d)) & 1n), '_'));
    let id = '';
    if (entry >= 4 && high(u, 10) > 0) {
      const bits = (entry - 4).toString(2).padStart(32, '0').split('').reverse().join('');
      id = `&channel_id=${Math.abs(Number.parseInt(bits, 2) | 0)}`;
    }
    const url = `https://www.nexmark.com/${dirs.join('/')}/item.htm?query=1${id}`;
    return {
      of,
      row: [
        BigInt(1000 + auction), personOf(chance('bidder'), hot.bidders, 1), BigInt(price(chance('price'))), channel, url,
        BigInt(at), extra(chance('extra'), 32, 100),
      ],
    }; // biome-ignore format: as the columns stand
  };
}

describe('event n is a function of the seed and n', () => {
  for (const [events, parallelism, batchRows, more] of [
    [1, 1, 4096, {}],
    [49, 2, 7, { seed: 5 }],
    [1234, 3, 64, { seed: 9, disorderMs: 5000, rate: 333 }],
    [60_000, 2, 4096, { seed: -3, rate: 10_000_000, hot: { auctions: 1, bidders: 3, sellers: 10 } }],
  ] as const) {
    test(`${events} events in ${parallelism} splits, batches of ${batchRows}`, async () => {
      const options = { ...defaults, events, ...more };
      const makes = reference({ ...options, of: 'bid' });
      const made: Record<EventKind, Value[][]> = { person: [], auction: [], bid: [] };
      for (let n = 0; n < events; n++) {
        const sampled = events < 5000 || n % 97 < 3;
        const place = n % 50;
        made[place < 1 ? 'person' : place < 4 ? 'auction' : 'bid'].push(sampled ? makes(n).row : []);
      }
      for (const of of kinds) {
        const rows = await read(of, options, { parallelism, batchRows, reopenEvery: 5 });
        expect(rows.length).toBe(rowsAmong(events, of));
        expect(rows.length).toBe(made[of].length);
        // Rows of several splits come split after split.
        const known = new Map(rows.map((row) => [JSON.stringify(row, text), row]));
        for (const row of made[of]) if (row.length > 0) expect(known.get(JSON.stringify(row, text))).toEqual(row);
        if (parallelism === 1 && batchRows === 4096) expect(rows).toEqual(made[of]);
      }
    });
  }
});

const text = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);
const sorted = (rows: Value[][]): string[] => rows.map((row) => JSON.stringify(row, text)).sort();

test('the same events at any parallelism, whatever is asked for, restored anywhere', async () => {
  for (const of of kinds) {
    const whole = await read(of);
    for (const [parallelism, batchRows, reopenEvery] of [
      [2, 100, 3],
      [3, 4096, 1],
      [7, 33, 2],
    ] as const) {
      const rows = await read(of, {}, { parallelism, batchRows, reopenEvery });
      expect(sorted(rows)).toEqual(sorted(whole));
    }
    const names = nexmarkFields[of].map(({ name }) => name);
    for (const name of names) {
      const column = await read(of, {}, { columns: [name] });
      expect(column.map(([value]) => value)).toEqual(whole.map((row) => row[names.indexOf(name)]));
    }
  }
});

/** The events of these sizes, as they were when this was written: of all rows in order, their JSON. */
const digests: Readonly<Record<string, string>> = {
  1000: 'a80ea4cc5d15da51',
  20000: '335859c72c248802',
  100000: '2f1e488f05b612ec',
};

test.each([1000, 20_000, 100_000])('%d events are what they always were', async (events) => {
  const hash = createHash('sha256');
  for (const of of kinds) for (const row of await read(of, { events })) hash.update(JSON.stringify(row, text));
  expect(hash.digest('hex').slice(0, 16)).toBe(digests[events]);
});

describe('proportions of half a million events', () => {
  const events = 500_000;
  const rate = 100_000;
  const near = (got: number, want: number, off: number): void => {
    expect(Math.abs(got - want), `${got} is not about ${want}`).toBeLessThanOrEqual(off);
  };
  const share = (rows: Value[][], is: (row: Value[]) => boolean): number => rows.filter(is).length / rows.length;
  const mean = (rows: Value[][], of: (row: Value[]) => number): number =>
    rows.reduce((sum, row) => sum + of(row), 0) / rows.length;
  const size = (row: Value[]): number =>
    row.reduce<number>((sum, value) => sum + (typeof value === 'string' ? value.length : 8), 0);

  test('one person, three auctions, 46 bids; ids count up', async () => {
    const [persons, auctions, bids] = await Promise.all(kinds.map((of) => read(of, { events, rate })));
    expect([persons!.length, auctions!.length, bids!.length]).toEqual([10_000, 30_000, 460_000]);
    expect(persons!.map(([id]) => id)).toEqual(persons!.map((_, i) => BigInt(1000 + i)));
    expect(auctions!.map(([id]) => id)).toEqual(auctions!.map((_, i) => BigInt(1000 + i)));
  });

  test('persons: sizes, states, cities, cards', async () => {
    const rows = await read('person', { events, rate });
    near(
      mean(rows, (row) => size(row) - 8),
      200,
      3,
    );
    for (const state of states)
      near(
        share(rows, (row) => row[5] === state),
        1 / 6,
        0.015,
      );
    for (const city of cities)
      near(
        share(rows, (row) => row[4] === city),
        0.1,
        0.012,
      );
    expect(rows.every((row) => /^\d{4}( \d{4}){3}$/.test(String(row[3])))).toBe(true);
    expect(rows.every((row) => /^[a-z][a-z ]{1,4}[a-z]@[a-z][a-z ]{1,2}[a-z]\.com$/.test(String(row[2])))).toBe(true);
    expect(new Set(rows.map((row) => row[1])).size).toBe(99);
  });

  test('auctions: sizes, categories, sellers, prices, lives', async () => {
    const rows = await read('auction', { events, rate });
    near(
      mean(rows, (row) => size(row) - 8),
      500,
      5,
    );
    for (let category = 10; category < 15; category++)
      near(
        share(rows, (row) => row[8] === BigInt(category)),
        0.2,
        0.01,
      );
    near(
      share(rows, (row) => row[7] === 1000n + (((row[0] as bigint) - 1000n) / 300n) * 100n),
      0.75,
      0.02,
    );
    expect(rows.every((row) => (row[4] as bigint) > (row[3] as bigint))).toBe(true);
    const life = rows.map((row) => Number((row[6] as bigint) - (row[5] as bigint)));
    expect([Math.min(...life), Math.max(...life)]).toEqual([1, 32]);
    near(life.reduce((a, b) => a + b, 0) / life.length, 16.5, 0.3);
  });

  test('bids: hot auctions and bidders, thirds of prices, channels, sizes', async () => {
    const rows = await read('bid', { events, rate });
    const epoch = (i: number): number => Math.floor(i / 46);
    const hotAuction = rows.filter((row, i) => row[0] === BigInt(1000 + Math.floor((epoch(i) * 3 + 2) / 100) * 100));
    const hotBidder = rows.filter((row, i) => row[1] === BigInt(1001 + Math.floor(epoch(i) / 100) * 100));
    near(hotAuction.length / rows.length, 0.5, 0.01);
    near(hotBidder.length / rows.length, 0.75, 0.01);
    // Of all events, 46 % go to one auction at a time and 69 % come from one bidder.
    near(hotAuction.length / events, 0.46, 0.01);
    near(hotBidder.length / events, 0.69, 0.01);
    near(
      rows.filter((row, i) => (row[0] as bigint) > BigInt(1000 + epoch(i) * 3 + 2)).length / rows.length,
      0.045,
      0.005,
    );
    const price = (row: Value[]): number => Number(row[2]);
    expect(Math.min(...rows.slice(0, 100_000).map(price))).toBeGreaterThanOrEqual(100);
    expect(Math.max(...rows.slice(0, 100_000).map(price))).toBeLessThanOrEqual(100_000_000);
    near(
      share(rows, (row) => price(row) < 10_000),
      1 / 3,
      0.004,
    );
    near(
      share(rows, (row) => price(row) >= 10_000 && price(row) < 1_000_000),
      1 / 3,
      0.004,
    );
    near(
      share(rows, (row) => 0.908 * price(row) > 1_000_000 && 0.908 * price(row) < 50_000_000),
      0.283,
      0.004,
    );
    near(
      share(rows, (row) => !String(row[3]).startsWith('channel-')),
      0.5,
      0.01,
    );
    near(
      share(rows, (row) => /&channel_id=\d+$/.test(String(row[4])) || !String(row[3]).startsWith('channel-')),
      0.95,
      0.01,
    );
    const url = /^https:\/\/www\.nexmark\.com\/([a-z][a-z_]{1,2}[a-z]\/){3}item\.htm\?query=1(&channel_id=\d+)?$/;
    expect(rows.slice(0, 20_000).every((row) => url.test(String(row[4])))).toBe(true);
    near(
      mean(rows, (row) => size(row) - String(row[3]).length - String(row[4]).length),
      100,
      1,
    );
    const seconds = Number((rows.at(-1)![5] as bigint) - (rows[0]![5] as bigint)) / 1000;
    near(seconds, events / rate, 0.01);
  });
});

test('a bid of every auction in flight, and some of auctions that come later', async () => {
  const rows = await read('bid', { events: 100_000, hot: { auctions: 1, bidders: 1, sellers: 1 } });
  rows.forEach((row, i) => {
    const last = Math.floor(i / 46) * 3 + 2;
    const auction = Number(row[0]) - 1000;
    if (auction < Math.max(0, last - 100) || auction > last + 10) throw new Error(`bid ${i} is on auction ${auction}`);
  });
});

test('with disorder, events are late by less than it says', async () => {
  const rows = await read('bid', { events: 50_000, disorderMs: 2000 }, { columns: ['dateTime'] });
  let most = 0;
  let behind = 0;
  for (const [at] of rows) {
    most = Math.max(most, Number(at));
    behind = Math.max(behind, most - Number(at));
  }
  expect(behind).toBeGreaterThan(1000);
  expect(behind).toBeLessThan(2000);
});

test('whatever an earlier job left in memory, padding of short texts is zeros', async () => {
  const slot = testSlot({ bytes: 32 * 1024 * 1024 });
  slot.memory.u8.fill(0xff, 1024);
  const spec = specOf('nexmark', { ...defaults, of: 'bid' });
  const layout = layoutOf(nexmarkFields.bid).filter(({ name }) => name === 'channel');
  const request = { layout, prune: [], timeColumn: null };
  const reader = nexmarkSource.reader(spec, request, readerContext(slot, 4096));
  const [split] = await nexmarkSource.enumerate(spec, request, 1, () => null);
  reader.open(split!);
  reader.poll();
  const { values } = reader.batch.columns[0]!;
  for (let row = 0; row < 1000; row++) {
    const at = values + row * 16;
    const length = slot.memory.u32[at >>> 2]!;
    const padding = slot.memory.u8.subarray(at + 4 + length, at + 16);
    if (padding.some((byte) => byte !== 0)) throw new Error(`row ${row} has padding ${padding.join()}`);
  }
});

test('options that cannot be are refused', async () => {
  const describeIt = (options: Partial<NexmarkOptions>) =>
    nexmarkSource.describe(specOf('nexmark', { ...defaults, of: 'bid', ...options }), () => null);
  await expect(describeIt({ events: -1 })).rejects.toThrow(/events is a whole number from 0, not -1/);
  await expect(describeIt({ rate: 0 })).rejects.toThrow(/rate is a number from/);
  await expect(describeIt({ hot: { auctions: 0, bidders: 1, sellers: 1 } })).rejects.toThrow(
    /hot.auctions is a whole number/,
  );
  await expect(describeIt({ of: 'bidder' as EventKind })).rejects.toThrow(/no events of kind 'bidder'/);
});
