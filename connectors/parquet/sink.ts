/**
 * The `parquet` sink. A path that ends in .parquet is one file, written by one task; any other is a directory where every
 * task puts files of its own. Rows are visible when the job ends in order, or, where it has checkpoints, when the one that
 * holds them is durable; a job that fails leaves nothing else behind.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../../core/base/errors.ts';
import type { ConnectorSpec, SinkConnector, WriterContext } from '../../core/ports/connector.ts';
import { type Batch, type Column, type Dictionary, rowKindNames } from '../../core/record/batch.ts';
import { type LayoutColumn, layoutOf } from '../../core/record/layout.ts';
import type { Fields } from '../../core/record/types.ts';
import { fileCommitter } from '../files/committer.ts';
import { checkFiles, directoryOf, rollOf } from '../files/options.ts';
import { guarded, isSingleFile, outputFile } from '../files/output.ts';
import { type FileFormat, writerVisibleAtCheckpoints, writerVisibleAtEnd } from '../files/writer.ts';
import { compressor } from './compress.ts';
import { columnWriters, parquetFileWriter, writtenLeaves } from './file-writer.ts';

/** The column that `changelog: true` puts first. */
const kindField = { name: 'row_kind', type: { kind: 'VARCHAR' }, nullable: false } as const;

export const parquetSink: SinkConnector = {
  kind: 'parquet',

  describe(spec, fields, updating, checkpointed = false) {
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
    checkFiles(spec, path, extensions, checkpointed);
    const stat = guarded(path, () => statSync(path, { throwIfNoEntry: false }));
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
    const path = pathOf(spec);
    const format = parquetFiles(spec, fields, context);
    const roll = rollOf(spec);
    if (context.transaction) return writerVisibleAtCheckpoints(format, roll, directoryOf(path, extensions), context);
    const attempt = context.attemptId.replace(/[^\w-]/g, '_');
    const part = (sequence: number): string =>
      join(path, `part-${context.subtask}-${attempt}${sequence === 0 ? '' : `-${sequence}`}.parquet`);
    return writerVisibleAtEnd(format, roll, (sequence) =>
      outputFile(isFile(path) ? path : part(sequence), `${attempt}-${context.subtask}`),
    );
  },

  committer(spec, context) {
    return fileCommitter(directoryOf(pathOf(spec), extensions), context);
  },
};

const extensions = ['.parquet'] as const;

function parquetFiles(spec: ConnectorSpec, fields: Fields, context: WriterContext): FileFormat {
  const { memory, layout } = context;
  const changelog = spec.options.changelog === true;
  const written: Fields = changelog ? [kindField, ...fields] : fields;
  const kinds = changelog ? kindColumn(context) : null;
  const kindLayout: LayoutColumn = { ...kindField, storage: 'view' };
  const leaves = writtenLeaves(written, changelog ? [kindLayout, ...layout] : layout);
  const indices = leaves.map((leaf) => layout.findIndex((column) => column.name === leaf.column.name));
  const packer = compressor(spec.options.compression, memory);
  const columns = columnWriters(leaves, memory, packer);
  const columnsOf = (batch: Batch): Column[] =>
    leaves.map((_, i) => {
      const index = indices[i] as number;
      return changelog && i === 0 ? (kinds as KindColumn).of(batch) : (batch.columns[index] as Column);
    });
  return {
    extension: extensions[0],
    begin(put) {
      const file = parquetFileWriter(written, leaves, columns, packer.codec, put);
      return {
        append: (batch) => file.append(batch, columnsOf(batch)),
        // Pages wait for their row group; nothing is visible yet anyway.
        flush() {},
        end: () => file.finish(),
        get heldBytes() {
          return file.heldBytes;
        },
      };
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

const isFile = (path: string): boolean => isSingleFile(path, extensions);

function pathOf(spec: ConnectorSpec): string {
  const { path } = spec.options;
  if (typeof path === 'string' && path !== '') return path;
  throw new MillraceError('option/invalid', `parquet wants a path, not ${JSON.stringify(path)}`);
}
