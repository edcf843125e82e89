/**
 * The Nexmark source: persons, auctions or bids of one sequence of events, in every slot side by side. What a job does not
 * read, kinds and columns, is not made. Replayable: a position is the number of rows read of a split.
 */
import { batchRowsMax } from '../../core/base/limits.ts';
import type { SourceConnector } from '../../core/ports/connector.ts';
import { StripedReader, stripedSplits } from '../generator/striped-reader.ts';
import { nexmarkColumns } from './columns.ts';
import {
  eventOf,
  eventsPerEpoch,
  type NexmarkOptions,
  nexmarkFields,
  nexmarkOptions,
  placeOf,
  rowsAmong,
} from './options.ts';

/** Persons and auctions are few and long. */
const batchRowsOf = { person: 1024, auction: 1024, bid: batchRowsMax } as const;

export const nexmarkSource: SourceConnector = {
  kind: 'nexmark',

  async describe(spec) {
    const { of, events } = nexmarkOptions(spec.options);
    return {
      fields: nexmarkFields[of],
      bounded: events !== null,
      estimatedRows: events === null ? null : rowsAmong(events, of),
      place: 'slot',
      notes: [],
    };
  },

  async enumerate(spec, _request, parallelism, _resource, nowMs = Date.now) {
    const options = nexmarkOptions(spec.options);
    const { of, events, startMs } = options;
    const rows = events === null ? null : rowsAmong(events, of);
    const stripe = stripeEpochs(options, parallelism) * placeOf[of].per;
    return stripedSplits(rows, stripe, parallelism, nowMs(), String(startMs));
  },

  reader(spec, request, given) {
    const options = nexmarkOptions(spec.options);
    const { of, events, rate, paced } = options;
    const context = { ...given, batchRows: Math.min(given.batchRows, batchRowsOf[of]) };
    const table = {
      rows: events === null ? null : rowsAmong(events, of),
      dueMs: paced ? (row: number): number => (eventOf(row, of) * 1000) / rate : null,
      makers: () => nexmarkColumns(options, request.layout, spec.label, context),
    };
    return new StripedReader(table, spec.label, request, context);
  },
};

/** Epochs that a split holds in a row, alike for all three kinds: a batch of bids at most, about a millisecond when paced. */
function stripeEpochs({ events, rate, paced }: NexmarkOptions, parallelism: number): number {
  const most = Math.floor(batchRowsMax / placeOf.bid.per);
  const byRate = paced ? Math.floor(rate / 1000 / eventsPerEpoch) : most;
  const byEvents = events === null ? most : Math.ceil(events / eventsPerEpoch / parallelism);
  return Math.max(1, Math.min(most, byRate, byEvents));
}
