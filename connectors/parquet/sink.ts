/**
 * The `parquet` sink. A path that ends in .parquet is one file, written by one task; any other is a directory where every
 * task puts a file of its own. Rows are committed when the job ends: a job that fails leaves nothing behind.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../../core/base/errors.ts';
import type { ConnectorSpec, SinkConnector, SinkWriter, WriterContext } from '../../core/ports/connector.ts';
import { type Batch, type Column, type Dictionary, rowKindNames } from '../../core/record/batch.ts';
import { type LayoutColumn, layoutOf } from '../../core/record/layout.ts';
import type { Fields } from '../../core/record/types.ts';
import { compressor } from './compress.ts';
import { parquetFileWriter, writtenLeaves } from './file-writer.ts';
import { attempt, type OutputFile, outputFile } from './output-file.ts';

/** The column that `changelog: true` puts first. */
const kindField = { name: 'row_kind', type: { kind: 'VARCHAR' }, nullable: false } as const;

export const parquetSink: SinkConnector = {
  kind: 'parquet',

  describe(spec, fields, updating) {
    const path = pathOf(spec);
    const changelog = spec.options.changelog === true;
    if (updating && !changelog) {
      throw new MillraceError(
        'plan/changelog',
        `parquet ${spec.label} takes only new rows, but these may be corrected later; write them with changelog: true, which adds a row_kind column`,
      );
    }
    if (fields.length === 0)
      throw new MillraceError('sink/failed', `parquet ${spec.label}: there is no column to write`);
    if (changelog && fields.some((field) => field.name === kindField.name)) {
      throw new MillraceError(
        'plan/duplicate',
        `parquet ${spec.label}: with changelog: true the name row_kind is taken`,
      );
    }
    // Errors: `plan/unsupported` for types that have no storage yet.
    layoutOf(fields);
    const stat = attempt(path, () => statSync(path, { throwIfNoEntry: false }));
    if (stat && stat.isDirectory() === isFile(path)) {
      const is = stat.isDirectory() ? 'a directory' : 'a file';
      const wanted = isFile(path) ? 'one file (it ends in .parquet)' : 'a directory of files';
      throw new MillraceError('sink/failed', `${path} is ${is}, but was to become ${wanted}`, { where: { path } });
    }
    return {
      accepts: changelog ? 'all' : 'insert',
      parallelismMax: isFile(path) ? 1 : Number.MAX_SAFE_INTEGER,
      place: 'slot',
    };
  },

  writer(spec, fields, context) {
    return parquetWriter(spec, fields, context);
  },
};

function parquetWriter(spec: ConnectorSpec, fields: Fields, context: WriterContext): SinkWriter {
  const path = pathOf(spec);
  const { memory, batchRows, layout, subtask, attemptId } = context;
  const changelog = spec.options.changelog === true;
  const written: Fields = changelog ? [kindField, ...fields] : fields;
  const kinds = changelog ? kindColumn(context) : null;
  const kindLayout: LayoutColumn = { ...kindField, storage: 'view' };
  const leaves = writtenLeaves(written, changelog ? [kindLayout, ...layout] : layout);
  const indices = leaves.map((leaf) => layout.findIndex((column) => column.name === leaf.column.name));
  const packer = compressor(spec.options.compression, memory);
  const target = isFile(path) ? path : join(path, `part-${subtask}-${attemptId.replace(/[^\w-]/g, '_')}.parquet`);
  let output: OutputFile | null = null;
  let file: ReturnType<typeof parquetFileWriter> | null = null;
  let isDone = false;

  const open = (): NonNullable<typeof file> => {
    if (file !== null) return file;
    const opened = outputFile(target, `${attemptId}-${subtask}`);
    output = opened;
    file = parquetFileWriter(written, leaves, memory, packer, (bytes) => opened.write(bytes));
    return file;
  };
  const columnsOf = (batch: Batch): Column[] =>
    leaves.map((_, i) => {
      const index = indices[i] as number;
      return changelog && i === 0 ? (kinds as KindColumn).of(batch) : (batch.columns[index] as Column);
    });

  // A forbidden place shows before the first row. Buffers are bounded by what a batch brings.
  if (batchRows > 0) open();

  return {
    write(batch) {
      if (batch.size > 0) open().append(batch, columnsOf(batch));
      return true;
    },
    // Pages wait for their row group; nothing is visible before the end anyway.
    flush() {},
    finish() {
      open().finish();
      output?.commit();
      isDone = true;
    },
    close() {
      if (!isDone) output?.abandon();
      isDone = true;
    },
    get bytes() {
      return output?.bytes ?? 0;
    },
  };
}

interface KindColumn {
  of(batch: Batch): Column;
}

/** `+I`, `-U`, `+U`, `-D` as a dictionary-coded column of a batch's kinds. */
function kindColumn(context: WriterContext): KindColumn {
  const { memory, batchRows } = context;
  const views = memory.arena.allocate(16 * rowKindNames.length, 'the row_kind column');
  const codes = memory.arena.allocate(4 * batchRows, 'the row_kind column');
  for (const [i, name] of rowKindNames.entries()) {
    memory.u32[(views >>> 2) + 4 * i] = name.length;
    memory.u8.set(Buffer.from(name), views + 16 * i + 4);
  }
  const dictionary: Dictionary = { id: 0, views, count: rowKindNames.length, hashes: 0 };
  return {
    of(batch) {
      for (let i = 0; i < batch.rowCount; i++) {
        memory.u32[(codes >>> 2) + i] = batch.kinds === 0 ? 0 : (memory.u8[batch.kinds + i] as number);
      }
      return { validity: 0, values: codes, dictionary };
    },
  };
}

function isFile(path: string): boolean {
  return path.endsWith('.parquet');
}

function pathOf(spec: ConnectorSpec): string {
  const { path } = spec.options;
  if (typeof path === 'string' && path !== '') return path;
  throw new MillraceError('option/invalid', `parquet wants a path, not ${JSON.stringify(path)}`);
}
