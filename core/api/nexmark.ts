/**
 * The events of the Nexmark benchmark: persons, auctions and bids of an auction house, made from a seed. The three are
 * parts of one sequence: event n is a function of the seed and n alone, so that every slot makes its part, a restored job
 * makes the same events again, and kinds and columns that a job does not read are not made.
 *
 * In the plan: `{ kind: 'nexmark', options: { of, events, seed, rate, paced, startMs, disorderMs, hot } }`, read by
 * connectors/nexmark/options.ts.
 */
import { type Duration, durationMs } from '../base/duration.ts';
import { MillraceError } from '../base/errors.ts';
import type { Json } from '../ports/connector.ts';
import { placeValue, type Source } from './place.ts';
import { fieldsOf, type RowOf, type Schema, schema, t } from './schema.ts';

const person = schema({
  id: t.bigint(),
  name: t.string(),
  emailAddress: t.string(),
  creditCard: t.string(),
  city: t.string(),
  state: t.string(),
  dateTime: t.timestamp(3),
  extra: t.string(),
});
const auction = schema({
  id: t.bigint(),
  itemName: t.string(),
  description: t.string(),
  initialBid: t.bigint(),
  reserve: t.bigint(),
  dateTime: t.timestamp(3),
  expires: t.timestamp(3),
  seller: t.bigint(),
  category: t.bigint(),
  extra: t.string(),
});
const bid = schema({
  auction: t.bigint(),
  bidder: t.bigint(),
  price: t.bigint(),
  channel: t.string(),
  url: t.string(),
  dateTime: t.timestamp(3),
  extra: t.string(),
});

/** One who sells or bids. `extra` fills it up to about 200 bytes. */
export type Person = RowOf<typeof person>;
/** What is for sale from `dateTime` to `expires`. Amounts are in cents. */
export type Auction = RowOf<typeof auction>;
/** An offer for `auction` by `bidder`, in cents. */
export type Bid = RowOf<typeof bid>;

export interface NexmarkOptions<N extends number | undefined> {
  /** How many events, of all three kinds: of 50, one is a person, three are auctions, 46 are bids. Without it they do not end. */
  readonly events?: N;
  /** 0 unless said. The same seed makes the same events, at any parallelism. */
  readonly seed?: number;
  /** Events of all kinds to a second of event time: 10,000 unless said. */
  readonly rate?: number;
  /** Events come when they are due by the rate; unless said, as fast as they are taken. */
  readonly paced?: boolean;
  /** Event time of the first event: 2015-07-15 unless said. */
  readonly start?: Date | string;
  /** Each event is delayed by chance up to less than this, so that events come out of order. Nothing unless said. */
  readonly disorder?: Duration;
  /** How long rows are waited for: 4 seconds, or the disorder where that is more. */
  readonly outOfOrderness?: Duration;
  /** The ids of persons and auctions are declared as keys that never repeat, unless said. */
  readonly keys?: boolean;
  /** All bids but one in so many go to the hot auction (2) and come from the hot bidder (4), all auctions but one in so many from the hot seller (4). 1: none. */
  readonly hot?: { readonly auctions?: number; readonly bidders?: number; readonly sellers?: number };
}

type ModeOf<N> = N extends number ? 'bounded' : 'append';
/** Three sources that are parts of one sequence of events. They have event time, `dateTime`. */
export interface Nexmark<N extends number | undefined = undefined> {
  readonly persons: Source<Person, ModeOf<N>>;
  readonly auctions: Source<Auction, ModeOf<N>>;
  readonly bids: Source<Bid, ModeOf<N>>;
}

/**
 * The sources of Nexmark: `const { auctions, bids } = nexmark({ events: 20_000_000 })`. Errors: `option/invalid`.
 */
export function nexmark<const N extends number | undefined = undefined>(options: NexmarkOptions<N> = {}): Nexmark<N> {
  const { events = null, seed = 0, rate = 10_000, paced = false, start = '2015-07-15T00:00:00Z' } = options;
  const { auctions = 2, bidders = 4, sellers = 4 } = options.hot ?? {};
  if (events !== null && !(Number.isSafeInteger(events) && events >= 0))
    invalid(`events is a whole number from 0, not ${events}`);
  if (!Number.isSafeInteger(seed)) invalid(`seed is a whole number, not ${seed}`);
  if (!(rate >= 0.001 && rate <= 1e12)) invalid(`rate is a number from 0.001 to 10^12, not ${rate}`);
  for (const [name, ratio] of Object.entries({ auctions, bidders, sellers })) {
    if (!(Number.isInteger(ratio) && ratio >= 1 && ratio <= 1_000_000))
      invalid(`hot.${name} is a whole number from 1 to 1000000, not ${ratio}`);
  }
  const startMs = new Date(start).getTime();
  if (Number.isNaN(startMs)) invalid(`start is a time such as '2026-01-01T00:00:00Z', not ${start}`);
  const disorderMs = durationMs(options.disorder ?? '0 ms');
  if (!(disorderMs >= 0 && disorderMs < 2 ** 32)) invalid(`disorder is '0 ms' to 49 days, not '${options.disorder}'`);
  const outOfOrdernessMs = durationMs(options.outOfOrderness ?? (disorderMs > 4000 ? `${disorderMs} ms` : '4 seconds'));
  if (!(outOfOrdernessMs >= 0)) invalid(`outOfOrderness is '0 ms' or longer, not '${options.outOfOrderness}'`);
  const shared = { events, seed, rate, paced, startMs, disorderMs, hot: { auctions, bidders, sellers } };
  const { keys = true } = options;
  const part = <R>(of: string, row: Schema<R>, key?: keyof R & string): Source<R, ModeOf<N>> =>
    placeValue({
      connector: {
        kind: 'nexmark',
        label: `${of}s`,
        options: { of, ...shared } as Readonly<Record<string, Json>>,
        alignedWith: `nexmark ${JSON.stringify(shared)}`,
      },
      schema: fieldsOf(row),
      reads: true,
      writes: false,
      mode: events === null ? 'append' : 'bounded',
      resource: null,
      eventTime: { column: 'dateTime', outOfOrdernessMs },
      ...(keys && key !== undefined ? { key: [key] } : {}),
    });
  return Object.freeze({
    persons: part('person', person, 'id'),
    auctions: part('auction', auction, 'id'),
    bids: part('bid', bid),
  });
}

function invalid(what: string): never {
  throw new MillraceError('option/invalid', `nexmark: ${what}`);
}
