/**
 * What a Nexmark source is, as the plan holds it: JSON. Event n is a function of the seed and n alone; a source is one of
 * the three kinds of events of that sequence. Knows nothing of memory.
 */
import { MillraceError } from '../../core/base/errors.ts';
import type { Json } from '../../core/ports/connector.ts';
import type { DataType, Fields } from '../../core/record/types.ts';

export type EventKind = 'person' | 'auction' | 'bid';

/** `ConnectorSpec.options` of kind `nexmark`. */
export interface NexmarkOptions {
  readonly of: EventKind;
  /** Of all three kinds; null: without end. */
  readonly events: number | null;
  readonly seed: number;
  /** Events to a second of event time. */
  readonly rate: number;
  /** Rows come when they are due by the rate. */
  readonly paced: boolean;
  /** Event time of event 0, milliseconds since 1970. */
  readonly startMs: number;
  /** Events are delayed by chance up to less than this. */
  readonly disorderMs: number;
  /** All but one in so many go to the hot auction, come from the hot bidder, the hot seller. 1: none is hot. */
  readonly hot: { readonly auctions: number; readonly bidders: number; readonly sellers: number };
}

/** Of 50 events in a row. */
export const eventsPerEpoch = 50;
/** Where a kind stands among them: `per` events behind the first `skip`. */
export const placeOf: Readonly<Record<EventKind, { readonly per: number; readonly skip: number }>> = {
  person: { per: 1, skip: 0 },
  auction: { per: 3, skip: 1 },
  bid: { per: 46, skip: 4 },
};

/** Rows of a kind among the first `events` events. */
export function rowsAmong(events: number, of: EventKind): number {
  const { per, skip } = placeOf[of];
  return Math.floor(events / eventsPerEpoch) * per + Math.min(per, Math.max(0, (events % eventsPerEpoch) - skip));
}

/** The number of the event that is row `row` of its kind. */
export function eventOf(row: number, of: EventKind): number {
  const { per, skip } = placeOf[of];
  return Math.floor(row / per) * eventsPerEpoch + skip + (row % per);
}

const bigint: DataType = { kind: 'BIGINT' };
const text: DataType = { kind: 'VARCHAR' };
const time: DataType = { kind: 'TIMESTAMP', precision: 3 };
const fieldsFrom = (types: Readonly<Record<string, DataType>>): Fields =>
  Object.entries(types).map(([name, type]) => ({ name, type, nullable: false }));

/** The benchmark's own columns, in its order. */
export const nexmarkFields: Readonly<Record<EventKind, Fields>> = {
  person: fieldsFrom({
    id: bigint, name: text, emailAddress: text, creditCard: text, city: text, state: text, dateTime: time, extra: text,
  }),
  auction: fieldsFrom({
    id: bigint, itemName: text, description: text, initialBid: bigint, reserve: bigint, dateTime: time, expires: time,
    seller: bigint, category: bigint, extra: text,
  }),
  bid: fieldsFrom({
    auction: bigint, bidder: bigint, price: bigint, channel: text, url: text, dateTime: time, extra: text,
  }),
}; // biome-ignore format: a table

/** Reads and checks the options. Errors: `option/invalid`. */
export function nexmarkOptions(from: Readonly<Record<string, Json>>): NexmarkOptions {
  const options = from as unknown as NexmarkOptions;
  const { of, events, seed, rate, startMs, disorderMs, hot } = options;
  if (!Object.hasOwn(placeOf, of)) invalid(`there are no events of kind '${of}'`);
  if (events !== null && !(Number.isSafeInteger(events) && events >= 0))
    invalid(`events is a whole number from 0, not ${events}`);
  if (!Number.isSafeInteger(seed)) invalid(`seed is a whole number, not ${seed}`);
  if (!(rate >= 0.001 && rate <= 1e12)) invalid(`rate is a number from 0.001 to 10^12, not ${rate}`);
  if (!Number.isSafeInteger(startMs) || Math.abs(startMs) > 8.64e15) invalid('start is a time');
  if (!(Number.isSafeInteger(disorderMs) && disorderMs >= 0 && disorderMs < 2 ** 32))
    invalid(`disorder is 0 ms to 49 days, not ${disorderMs} ms`);
  for (const [name, ratio] of Object.entries(hot)) {
    if (!(Number.isInteger(ratio) && ratio >= 1 && ratio <= 1_000_000))
      invalid(`hot.${name} is a whole number from 1 to 1000000, not ${ratio}`);
  }
  return options;
}

function invalid(what: string): never {
  throw new MillraceError('option/invalid', `nexmark: ${what}`);
}
