/**
 * The `parquet` source: splits are row groups. `spec.options.path` is a file, a directory or a pattern; with `watch`
 * (files/watch.ts) files that appear are read as they come.
 */
import { MillraceError } from '../../core/base/errors.ts';
import type { ConnectorSpec, ReadRequest, SourceConnector, SourceInfo, Split } from '../../core/ports/connector.ts';
import type { Fields } from '../../core/record/types.ts';
import { filesOf, listFiles } from '../files/paths.ts';
import { discoverFiles, watchNote, watchOf } from '../files/watch.ts';
import { declaredFields } from '../rows/fields.ts';
import { closeFile, openFile, readMetadata } from './files.ts';
import { Codec, codecNames, Physical } from './format.ts';
import type { ParquetMetadata } from './metadata.ts';
import { planColumns } from './plan.ts';
import { parquetReader, type RowGroupSplit } from './reader.ts';
import { boundsOf, excludes } from './statistics.ts';
import { fieldOf, fileTypeName } from './types.ts';

export const parquetSource: SourceConnector = {
  kind: 'parquet',

  async describe(spec) {
    const watched = watchOf(spec);
    const declared = declaredFields(spec);
    const files = watched ? listFiles(pathOf(spec), extensions).files : filesOf(pathOf(spec), extensions);
    const path = files[0];
    if (watched && path === undefined) {
      if (declared) return { ...described(declared), notes: [watchNote(watched)] };
      throw new MillraceError(
        'source/unsupported',
        `${spec.label}: there is no file yet to find columns in; declare a schema`,
        { where: { path: pathOf(spec) } },
      );
    }
    const { metadata } = metadataOf(path as string);
    const notes = notesOf(metadata, files.length);
    const fields = metadata.root.children.map(fieldOf);
    if (watched) return { ...described(fields), notes: [watchNote(watched), ...notes] };
    // One footer tells the columns; the others are read when splits are listed.
    return { fields, bounded: true, estimatedRows: files.length > 1 ? null : metadata.rows, place: 'slot', notes };
  },

  async enumerate(spec, request) {
    return filesOf(pathOf(spec), extensions).flatMap((path) => splitsOf(path, request, null));
  },

  discover(spec, request, context) {
    const watched = watchOf(spec);
    if (!watched) return null;
    return discoverFiles(pathOf(spec), extensions, watched, context, ({ path, inode }) =>
      splitsOf(path, request, inode),
    );
  },

  reader(_spec, request, context) {
    return parquetReader(request, context);
  },
};

const extensions = ['.parquet'] as const;

/** A source that does not end. */
const described = (fields: Fields): Omit<SourceInfo, 'notes'> => ({
  fields,
  bounded: false,
  estimatedRows: null,
  place: 'slot',
});

/** Row groups that a request may want, in file order. `inode`: the file is read only while it is that one. */
function splitsOf(path: string, request: ReadRequest, inode: string | null): readonly Split[] {
  const splits: Split[] = [];
  const { metadata, bytes } = metadataOf(path);
  const plan = planColumns(metadata, request.layout, path);
  const indexOf = (name: string): number => request.layout.findIndex((column) => column.name === name);
  for (const [rowGroup, group] of metadata.rowGroups.entries()) {
    if (group.rows === 0) continue;
    const excluded = request.prune.some((condition) => {
      const i = indexOf(condition.column);
      const planned = plan[i];
      const column = request.layout[i];
      if (planned === undefined || column === undefined) return false;
      const chunk = group.columns[planned.leaf.index];
      return chunk !== undefined && excludes(planned.leaf, chunk, column, condition);
    });
    if (excluded) continue;
    const time = request.timeColumn === null ? -1 : indexOf(request.timeColumn);
    const planned = plan[time];
    const column = request.layout[time];
    const chunk = planned && group.columns[planned.leaf.index];
    const bounds = planned && column && chunk ? boundsOf(planned.leaf, chunk, column) : null;
    const options = { path, rowGroup, fileBytes: bytes, ...(inode === null ? {} : { inode }) } satisfies RowGroupSplit;
    splits.push({
      id: `${path}#${rowGroup}${inode === null ? '' : `@${inode}`}`,
      options,
      position: null,
      estimatedRows: group.rows,
      minimum: typeof bounds?.min === 'bigint' ? bounds.min.toString() : null,
    });
  }
  return splits;
}

function pathOf(spec: ConnectorSpec): string {
  const { path } = spec.options;
  if (typeof path !== 'string' || path === '') {
    throw new MillraceError('option/invalid', `parquet wants a path, not ${JSON.stringify(path)}`);
  }
  return path;
}

function metadataOf(path: string): { metadata: ParquetMetadata; bytes: number } {
  const file = openFile(path);
  try {
    return { metadata: readMetadata(file), bytes: file.bytes };
  } finally {
    closeFile(file);
  }
}

/** For `explain`. */
function notesOf(metadata: ParquetMetadata, files: number): string[] {
  const notes: string[] = [];
  const codecs = new Set(metadata.rowGroups.flatMap((group) => group.columns.map((chunk) => chunk.codec)));
  const native = [...codecs].filter((codec) => codec === Codec.gzip || codec === Codec.brotli);
  const own = [...codecs].filter((codec) => codec !== Codec.uncompressed && !native.includes(codec as 2 | 4));
  const names = (of: readonly number[]): string => of.map((codec) => codecNames[codec] ?? codec).join(', ');
  notes.push(
    `pages decoded by own kernels${own.length > 0 ? `, ${names(own)} too` : ''}; strings stay dictionary codes`,
  );
  if (native.length > 0) notes.push(`${names(native)} unpacked by node:zlib`);
  if (files > 1) notes.push(`${files} files; columns as in the first`);
  for (const leaf of metadata.leaves) {
    if (leaf.maxRepetition > 0) notes.push(`column ${leaf.name} is repeated: cannot be read yet`);
    else if (leaf.physical === Physical.float || leaf.meaning.kind === 'float16') {
      notes.push(`column ${leaf.name}: ${fileTypeName(leaf)} is read as DOUBLE`);
    } else if (leaf.meaning.kind === 'timestamp' && leaf.meaning.unit === 'ns') {
      notes.push(`column ${leaf.name}: nanoseconds are floored to microseconds`);
    } else if (leaf.physical === Physical.int96) notes.push(`column ${leaf.name}: INT96 is read as TIMESTAMP(6)`);
  }
  return notes;
}
