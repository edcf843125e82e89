/**
 * The generator source: rows from a seed, in every slot side by side (striped-reader.ts).
 */

import { MillraceError } from '../../core/base/errors.ts';
import { batchRowsMax } from '../../core/base/limits.ts';
import type { ReaderContext, ReadRequest, SourceConnector } from '../../core/ports/connector.ts';
import { sameType, ticksPerMs, typeName } from '../../core/record/types.ts';
import { type ColumnMaker, columnMaker } from './columns.ts';
import { type GeneratorOptions, generatorFields, generatorOptions } from './options.ts';
import { StripedReader, stripedSplits } from './striped-reader.ts';

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

  async enumerate(spec, request, parallelism, _resource, nowMs = Date.now) {
    const options = generatorOptions(spec.options);
    const stripe = stripeRows(options, parallelism);
    const startedAtMs = nowMs();
    const minimum = minimumOf(options, request.timeColumn, startedAtMs);
    return stripedSplits(options.rows, stripe, parallelism, startedAtMs, minimum);
  },

  reader(spec, request, context) {
    const options = generatorOptions(spec.options);
    const { rows, rowsPerSecond: rate } = options;
    const dueMs = rate === null ? null : (row: number): number => (row * 1000) / rate;
    const makers = (startedAtMs: number) => makeColumns(options, spec.label, request, context, startedAtMs);
    return new StripedReader({ rows, dueMs, makers }, spec.label, request, context);
  },
};

function stripeRows({ rows, rowsPerSecond }: GeneratorOptions, parallelism: number): number {
  const byRate = rowsPerSecond === null ? batchRowsMax : Math.floor((rowsPerSecond * stripeMs) / 1000);
  const byRows = rows === null ? batchRowsMax : Math.ceil(rows / parallelism);
  return Math.max(1, Math.min(batchRowsMax, byRate, byRows));
}

function minimumOf(options: GeneratorOptions, timeColumn: string | null, startedAtMs: number): string | null {
  const column = options.columns.find((c) => c.name === timeColumn);
  if (column?.kind === 'time' && column.stepMs >= 0) {
    return (BigInt(column.start) * BigInt(ticksPerMs(column.precision))).toString();
  }
  return column?.kind === 'due' ? BigInt(Math.floor(startedAtMs * ticksPerMs(column.precision))).toString() : null;
}

function makeColumns(
  options: GeneratorOptions,
  label: string,
  request: ReadRequest,
  context: ReaderContext,
  startedAtMs: number,
): readonly ColumnMaker[] {
  const { memory, kernels, batchRows } = context;
  const { columns, seed, rowsPerSecond } = options;
  const fields = generatorFields(options);
  return request.layout.map((leaf) => {
    const at = columns.findIndex((c) => c.name === leaf.name);
    const have = fields[at];
    if (have === undefined || !sameType(have.type, leaf.type) || (have.nullable && !leaf.nullable)) {
      throw new MillraceError(
        'schema/mismatch',
        `${label} has ${have ? `'${have.name}' as ${typeName(have.type)}${have.nullable ? ', nullable' : ''}` : `no column '${leaf.name}'`}; asked for ${typeName(leaf.type)}`,
      );
    }
    return columnMaker(columns[at]!, leaf, { memory, kernels, batchRows, seed, rowsPerSecond, startedAtMs });
  });
}
