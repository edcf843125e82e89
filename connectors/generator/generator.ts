/**
 * The generator source: rows from a seed, in every slot side by side. Split i of p holds every p-th stripe of rows, so
 * that event time advances alike in all of them. Replayable: a position is the number of rows read of a split.
 */

import { MillraceError } from '../../core/base/errors.ts';
import { batchRowsMax } from '../../core/base/limits.ts';
import {
  PollStatus,
  type ReaderContext,
  type ReadRequest,
  type SourceConnector,
  type SourceReader,
  type Split,
} from '../../core/ports/connector.ts';
import { type Batch, batch } from '../../core/record/batch.ts';
import { sameType, ticksPerMs, typeName } from '../../core/record/types.ts';
import { type ColumnMaker, columnMaker } from './columns.ts';
import { type GeneratorOptions, generatorFields, generatorOptions } from './options.ts';

/** A rate-limited stripe lasts about this long, so that low rates alternate between slots row by row. */
const stripeMs = 1;

export const generatorSource: SourceConnector = {
  kind: 'generator',

  async describe(spec) {
    const options = generatorOptions(spec.options);
    return {
      fields: generatorFields(options),
      bounded: options.rows !== null,
      estimatedRows: options.rows,
      place: 'slot',
      notes: [],
    };
  },

  async enumerate(spec, request, parallelism) {
    const options = generatorOptions(spec.options);
    const stripe = stripeRows(options, parallelism);
    const startedAtMs = Date.now();
    const minimum = minimumOf(options, request.timeColumn, startedAtMs);
    return Array.from({ length: parallelism }, (_, index): Split => {
      const split = { index, of: parallelism, stripe, startedAtMs };
      return {
        id: `${index}`,
        options: split,
        position: null,
        estimatedRows: options.rows === null ? null : splitRows(options.rows, split),
        minimum,
      };
    });
  },

  reader: (spec, request, context) => new GeneratorReader(generatorOptions(spec.options), spec.label, request, context),
};

/** Rows of the table in turn: stripe s belongs to split s mod `of`. */
interface Stripes {
  readonly index: number;
  readonly of: number;
  readonly stripe: number;
  readonly startedAtMs: number;
}

function stripeRows({ rows, rowsPerSecond }: GeneratorOptions, parallelism: number): number {
  const byRate = rowsPerSecond === null ? batchRowsMax : Math.floor((rowsPerSecond * stripeMs) / 1000);
  const byRows = rows === null ? batchRowsMax : Math.ceil(rows / parallelism);
  return Math.max(1, Math.min(batchRowsMax, byRate, byRows));
}

/** Rows of a split of a table of `rows`. */
function splitRows(rows: number, { index, of, stripe }: Stripes): number {
  const round = stripe * of;
  return Math.floor(rows / round) * stripe + Math.max(0, Math.min(stripe, (rows % round) - index * stripe));
}

function minimumOf(options: GeneratorOptions, timeColumn: string | null, startedAtMs: number): string | null {
  const column = options.columns.find((c) => c.name === timeColumn);
  if (column?.kind === 'time' && column.stepMs >= 0) {
    return (BigInt(column.start) * BigInt(ticksPerMs(column.precision))).toString();
  }
  return column?.kind === 'due' ? BigInt(Math.floor(startedAtMs * ticksPerMs(column.precision))).toString() : null;
}

class GeneratorReader implements SourceReader {
  readonly #options: GeneratorOptions;
  readonly #label: string;
  readonly #request: ReadRequest;
  readonly #context: ReaderContext;
  #makers: readonly ColumnMaker[] | null = null;
  #split: Stripes | null = null;
  /** Rows of the split that were read, and that there are. */
  #read = 0;
  #rows = 0;
  /** When row 0 of the table was due, on the monotonic clock. */
  #startMs = 0;
  #batch: Batch | null = null;

  constructor(options: GeneratorOptions, label: string, request: ReadRequest, context: ReaderContext) {
    this.#options = options;
    this.#label = label;
    this.#request = request;
    this.#context = context;
  }

  get batch(): Batch {
    return this.#batch!;
  }

  open(split: Split): void {
    const stripes = split.options as unknown as Stripes;
    this.#split = stripes;
    this.#read = split.position === null ? 0 : Number(split.position);
    this.#rows = this.#options.rows === null ? Number.MAX_SAFE_INTEGER : splitRows(this.#options.rows, stripes);
    // Rows are due from the start that their `due` columns count from, not from when this thread was ready. A restored
    // split goes on at its rate from here on; only `due` columns keep the first start.
    const { nowMs, monotonicMs } = this.#context;
    const alreadyDueMs = split.position === null ? Math.max(0, nowMs() - stripes.startedAtMs) : this.#dueMs(this.#read);
    this.#startMs = monotonicMs() - alreadyDueMs;
    this.#makers ??= this.#makeColumns(stripes.startedAtMs);
  }

  poll(): PollStatus {
    const { stripe } = this.#split!;
    const { batchRows } = this.#context;
    const elapsedMs = this.#options.rowsPerSecond === null ? 0 : this.#context.monotonicMs() - this.#startMs;
    const first = this.#read;
    let filled = 0;
    while (filled < batchRows && this.#read < this.#rows) {
      const within = this.#read % stripe;
      const count = Math.min(batchRows - filled, stripe - within, this.#rows - this.#read);
      if (this.#options.rowsPerSecond !== null) {
        const dueMs = this.#dueMs(this.#read + count - 1);
        if (dueMs > elapsedMs) {
          if (filled > 0) break;
          this.#context.wakeAt(this.#startMs + dueMs);
          return PollStatus.starved;
        }
      }
      const n = BigInt(this.#rowOf(this.#read));
      for (const maker of this.#makers!) maker.fill(filled, n, count);
      filled += count;
      this.#read += count;
    }
    if (filled === 0) return PollStatus.ended;
    const columns = this.#makers!.map((m) => m.column);
    const origin = { source: `${this.#label}, split ${this.#split!.index}`, firstRow: first };
    this.#batch = batch(this.#request.layout, filled, columns, { origin });
    return PollStatus.moved;
  }

  position(): number {
    return this.#read;
  }

  close(): void {}

  /** Number in the table of row `local` of the split. */
  #rowOf(local: number): number {
    const { index, of, stripe } = this.#split!;
    const within = local % stripe;
    return (((local - within) / stripe) * of + index) * stripe + within;
  }

  #dueMs(local: number): number {
    const rate = this.#options.rowsPerSecond;
    return rate === null ? 0 : (this.#rowOf(local) * 1000) / rate;
  }

  #makeColumns(startedAtMs: number): readonly ColumnMaker[] {
    const { memory, kernels, batchRows } = this.#context;
    const { columns, seed, rowsPerSecond } = this.#options;
    const fields = generatorFields(this.#options);
    return this.#request.layout.map((leaf) => {
      const at = columns.findIndex((c) => c.name === leaf.name);
      const have = fields[at];
      if (have === undefined || !sameType(have.type, leaf.type) || (have.nullable && !leaf.nullable)) {
        throw new MillraceError(
          'schema/mismatch',
          `${this.#label} has ${have ? `'${have.name}' as ${typeName(have.type)}${have.nullable ? ', nullable' : ''}` : `no column '${leaf.name}'`}; asked for ${typeName(leaf.type)}`,
        );
      }
      return columnMaker(columns[at]!, leaf, { memory, kernels, batchRows, seed, rowsPerSecond, startedAtMs });
    });
  }
}
