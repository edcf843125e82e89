/**
 * The columns of Nexmark's events in slot memory, one kernel call per column and run of rows. Tables of names, urls and
 * letters are made once per reader, and only those that its columns need. docs/connectors/nexmark.md says what is in them.
 */
import { MillraceError } from '../../core/base/errors.ts';
import type { LayoutColumn } from '../../core/record/layout.ts';
import { valueBytes } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { sameType, typeName } from '../../core/record/types.ts';
import { type ColumnMaker, columnSeed } from '../generator/columns.ts';
import { type NexmarkKernels, nexmarkKernels } from './kernels.ts';
import { type NexmarkOptions, nexmarkFields, placeOf } from './options.ts';

const firstNames = ['Peter', 'Paul', 'Luke', 'John', 'Saul', 'Vicky', 'Kate', 'Julie', 'Sarah', 'Deiter', 'Walter'];
const lastNames = ['Shultz', 'Abrams', 'Spencer', 'White', 'Bartels', 'Walton', 'Smith', 'Jones', 'Noris'];
const names = firstNames.flatMap((first) => lastNames.map((last) => `${first} ${last}`));
const states = ['AZ', 'CA', 'ID', 'OR', 'WA', 'WY'];
const cities = [
  'Phoenix',
  'Los Angeles',
  'San Francisco',
  'Boise',
  'Portland',
  'Bend',
  'Redmond',
  'Seattle',
  'Kent',
  'Cheyenne',
];
const hotChannels = ['Google', 'Facebook', 'Baidu', 'Apple']; // biome-ignore format: lists

/** Channels that are not hot. */
const coldChannels = 10_000;
/** Bytes of an event on average, as the benchmark has it (a bid's channel and url do not count). */
const averageBytes = { person: 200, auction: 500, bid: 100 } as const;
const firstId = 1000n;
const firstCategory = 10n;
const categories = 5n;
/** Auctions end within twice the time of so many events: that of a hundred auctions. */
const eventsInFlight = 1666;
const urlBytesMax = 80;
/** Where an extra text begins in the pool: 16 bits of chance; the longest follows. */
const poolBytes = 65_536 + 1024;
const priceSteps = 4096;
/** 10^(6 / 4096). */
const priceStep = 1.0033786221027048;

/** Bytes of a text at most. */
const textBytes: Readonly<Record<string, number>> = {
  name: 16, emailAddress: 16, creditCard: 20, city: 16, state: 2, itemName: 20, description: 100,
  channel: 12, url: urlBytesMax, 'person.extra': 192, 'auction.extra': 560, 'bid.extra': 88,
}; // biome-ignore format: a table

/** The reader's columns, in the order asked for. Errors: `schema/mismatch`, `memory/exhausted`. */
export function nexmarkColumns(
  options: NexmarkOptions,
  layout: readonly LayoutColumn[],
  label: string,
  { memory, batchRows }: { readonly memory: SlotMemory; readonly batchRows: number },
): readonly ColumnMaker[] {
  const house = new House(options, memory);
  return layout.map((leaf): ColumnMaker => {
    const have = nexmarkFields[options.of].find(({ name }) => name === leaf.name);
    if (have === undefined || !sameType(have.type, leaf.type)) {
      throw new MillraceError(
        'schema/mismatch',
        `${label} has ${have ? `'${have.name}' as ${typeName(have.type)}` : `no column '${leaf.name}'`}; asked for ${typeName(leaf.type)}`,
      );
    }
    const values = memory.arena.allocate(valueBytes(leaf.storage, batchRows), `${label}, column ${leaf.name}`);
    const column = { validity: 0, values, dictionary: null };
    if (leaf.storage !== 'view') {
      const fill = house.number(leaf.name);
      return { column, fill: (at, n, count) => fill(values + at * 8, count, n) };
    }
    const room = textBytes[leaf.name] ?? textBytes[`${options.of}.extra`]!;
    // Texts are copied in steps of 16 bytes.
    const texts = memory.arena.allocate(batchRows * room + 64, `${label}, texts of ${leaf.name}`);
    const fill = house.text(leaf.name);
    return { column, fill: (at, n, count) => fill(values + at * 16, count, n, texts + at * room) };
  });
}

type FillNumbers = (out: number, count: number, row: bigint) => void;
type FillTexts = (out: number, count: number, row: bigint, texts: number) => void;

/** Seeds and tables of one reader. */
class House {
  readonly #options: NexmarkOptions;
  readonly #memory: SlotMemory;
  readonly #kernels: NexmarkKernels;
  readonly #per: bigint;
  readonly #skip: bigint;
  readonly #tables = new Map<string, number>();

  constructor(options: NexmarkOptions, memory: SlotMemory) {
    this.#options = options;
    this.#memory = memory;
    this.#kernels = nexmarkKernels(memory);
    this.#per = BigInt(placeOf[options.of].per);
    this.#skip = BigInt(placeOf[options.of].skip);
  }

  number(name: string): FillNumbers {
    const k = this.#kernels;
    const [per, skip, seed] = [this.#per, this.#skip, this.#seed(name)];
    const { hot } = this.#options;
    const [auctions, bidders, sellers] = [BigInt(hot.auctions), BigInt(hot.bidders), BigInt(hot.sellers)];
    switch (name) {
      case 'id':
        return (out, count, row) => k.ids(out, count, row, firstId);
      case 'auction':
        return (out, count, row) => k.bidAuctions(out, count, row, per, skip, seed, auctions);
      // The hot bidder is the second of his hundred, the hot seller the first.
      case 'bidder':
        return (out, count, row) => k.persons(out, count, row, per, skip, seed, bidders, 1n);
      case 'seller':
        return (out, count, row) => k.persons(out, count, row, per, skip, seed, sellers, 0n);
      case 'category':
        return (out, count, row) => k.uniform(out, count, row, per, skip, seed, firstCategory, categories);
      case 'dateTime':
        return this.#times(0n, 0n);
      case 'expires': {
        const life = 2n * BigInt(Math.floor((eventsInFlight * 1000) / this.#options.rate));
        return this.#times(life > 0n ? life : 1n, seed);
      }
      case 'reserve': {
        const [first, powers] = [this.#seed('initialBid'), this.#powers()];
        return (out, count, row) => k.prices(out, count, row, per, skip, first, powers, 1, seed);
      }
      default: {
        const powers = this.#powers();
        return (out, count, row) => k.prices(out, count, row, per, skip, seed, powers, 0, 0n);
      }
    }
  }

  text(name: string): FillTexts {
    const k = this.#kernels;
    const [per, skip, seed, letters] = [this.#per, this.#skip, this.#seed(name), this.#seed(name, 'letters')];
    switch (name) {
      case 'name':
        return this.#picks(seed, names);
      case 'city':
        return this.#picks(seed, cities);
      case 'state':
        return this.#picks(seed, states);
      case 'emailAddress':
        return (out, count, row, texts) => k.emails(out, count, row, per, skip, seed, letters, texts);
      case 'creditCard':
        return (out, count, row, texts) => k.cards(out, count, row, per, skip, seed, texts);
      case 'itemName':
        return (out, count, row, texts) => k.words(out, count, row, per, skip, seed, letters, 20n, texts);
      case 'description':
        return (out, count, row, texts) => k.words(out, count, row, per, skip, seed, letters, 100n, texts);
      case 'channel':
        return this.#channels(this.#channelTable());
      case 'url':
        return this.#channels(this.#urlTable());
      default:
        return this.#extras(seed);
    }
  }

  #seed(name: string, purpose = 'values'): bigint {
    return columnSeed(this.#options.seed, name, `nexmark ${this.#options.of} ${purpose}`);
  }

  #times(life: bigint, lifeSeed: bigint): FillNumbers {
    const { startMs, rate, disorderMs } = this.#options;
    const [k, per, skip, seed] = [this.#kernels, this.#per, this.#skip, this.#seed('dateTime')];
    const [start, step, disorder] = [BigInt(startMs), 1000 / rate, BigInt(disorderMs)];
    return (out, count, row) => k.times(out, count, row, per, skip, start, step, seed, disorder, life, lifeSeed);
  }

  #picks(seed: bigint, texts: readonly string[]): FillTexts {
    const [k, per, skip, table, entries] = [
      this.#kernels,
      this.#per,
      this.#skip,
      this.#table(texts),
      BigInt(texts.length),
    ];
    return (out, count, row, to) => k.picks(out, count, row, per, skip, seed, table, entries, to);
  }

  #channels(table: number): FillTexts {
    const [k, per, skip, seed] = [this.#kernels, this.#per, this.#skip, this.#seed('channel')];
    const cold = BigInt(coldChannels);
    return (out, count, row, to) => k.channels(out, count, row, per, skip, seed, table, cold, to);
  }

  #extras(seed: bigint): FillTexts {
    const [k, per, skip, pool] = [this.#kernels, this.#per, this.#skip, this.#pool()];
    const { of } = this.#options;
    const average = averageBytes[of];
    if (of === 'bid') return (out, count, row, to) => k.bidExtras(out, count, row, per, skip, seed, average, pool, to);
    if (of === 'auction') {
      const [itemNames, descriptions] = [this.#seed('itemName'), this.#seed('description')];
      return (out, count, row, to) =>
        k.auctionExtras(out, count, row, per, skip, seed, average, pool, to, itemNames, descriptions);
    }
    const [nameSeed, emailSeed, citySeed] = [this.#seed('name'), this.#seed('emailAddress'), this.#seed('city')];
    const [nameTable, cityTable] = [this.#table(names), this.#table(cities)];
    const [nameEntries, cityEntries] = [BigInt(names.length), BigInt(cities.length)];
    return (out, count, row, to) =>
      k.personExtras(
        out, count, row, per, skip, seed, average, pool, to,
        nameSeed, nameTable, nameEntries, emailSeed, citySeed, cityTable, cityEntries,
      ); // biome-ignore format: as the kernel has them
  }

  /** What is made at most once, by its name. */
  #once(name: string, make: () => number): number {
    const at = this.#tables.get(name) ?? make();
    this.#tables.set(name, at);
    return at;
  }

  #powers(): number {
    return this.#once('powers', () => {
      const at = this.#allocate(priceSteps * 8, 'prices');
      let power = 1;
      for (let i = 0; i < priceSteps; i++) {
        this.#memory.f64[(at >>> 3) + i] = power;
        power *= priceStep;
      }
      return at;
    });
  }

  #pool(): number {
    return this.#once('pool', () => {
      const at = this.#allocate(poolBytes, 'letters');
      this.#kernels.letterPool(at, poolBytes, columnSeed(this.#options.seed, 'extra', 'nexmark letters'));
      return at;
    });
  }

  #channelTable(): number {
    return this.#once('channels', () => {
      const at = this.#allocate((hotChannels.length + coldChannels) * 16, 'channels');
      for (const [i, text] of hotChannels.entries()) this.#view(at + i * 16, text);
      this.#kernels.channelTable(at + hotChannels.length * 16, coldChannels, this.#allocate(32, 'channels'));
      return at;
    });
  }

  #urlTable(): number {
    return this.#once('urls', () => {
      const entries = hotChannels.length + coldChannels;
      const at = this.#allocate(entries * 16, 'urls');
      const texts = this.#allocate(entries * urlBytesMax + 16, 'texts of urls');
      const [head, tail, idHead] = ['https://www.nexmark.com/', 'item.htm?query=1', '&channel_id='].map((text) =>
        this.#bytes(text),
      ) as [number, number, number];
      this.#kernels.urlTable(at, entries, this.#seed('url'), this.#seed('url', 'letters'), head, tail, idHead, texts);
      return at;
    });
  }

  /** Views of texts. */
  #table(texts: readonly string[]): number {
    return this.#once(texts[0]!, () => {
      const at = this.#allocate(texts.length * 16, 'names');
      for (const [i, text] of texts.entries()) this.#view(at + i * 16, text);
      return at;
    });
  }

  #view(at: number, text: string): void {
    const { u8, u32 } = this.#memory;
    const bytes = Buffer.from(text);
    // Memory may hold what an earlier job left: the padding is written, too.
    u8.fill(0, at, at + 16);
    u32[at >>> 2] = bytes.length;
    u8.set(bytes.subarray(0, bytes.length > 12 ? 4 : 12), at + 4);
    if (bytes.length > 12) u32[(at + 12) >>> 2] = this.#bytes(text);
  }

  #bytes(text: string): number {
    const bytes = Buffer.from(text);
    const at = this.#allocate(bytes.length + 16, 'texts');
    this.#memory.u8.set(bytes, at);
    return at;
  }

  #allocate(bytes: number, what: string): number {
    return this.#memory.arena.allocate(bytes, `nexmark's ${what}`);
  }
}
