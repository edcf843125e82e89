/** Matches the columns that are asked for with a file's: by name, with a conversion to the declared type. */
import { MillraceError } from '../../core/base/errors.ts';
import type { Layout } from '../../core/record/layout.ts';
import { isCodecKnown } from './codec.ts';
import { codecNames } from './format.ts';
import { type Leaf, type ParquetMetadata, unsupported } from './metadata.ts';
import { type Conversion, conversionOf, mismatchMessage } from './types.ts';

export interface PlannedColumn {
  readonly leaf: Leaf;
  readonly conversion: Conversion;
}

/** Errors: `schema/mismatch` and `source/unsupported` with the path. */
export function planColumns(metadata: ParquetMetadata, layout: Layout, path: string): PlannedColumn[] {
  return layout.map((column) => {
    const found = metadata.leaves.filter((leaf) => leaf.name === column.name);
    const leaf = found[0];
    if (leaf === undefined) {
      const group = metadata.leaves.some((other) => other.name.startsWith(`${column.name}.`));
      const names = metadata.root.children.map((node) => node.name).join(', ');
      throw new MillraceError(
        'schema/mismatch',
        group
          ? `column ${column.name} is nested in the file; nested columns cannot be read as one value yet`
          : `the file has no column ${column.name}; its columns are ${names}`,
        { where: { path } },
      );
    }
    if (found.length > 1) {
      throw new MillraceError('schema/mismatch', `the file has ${found.length} columns named ${column.name}`, {
        where: { path },
      });
    }
    if (leaf.maxRepetition > 0) {
      throw unsupported(`column ${column.name} holds lists; repeated columns cannot be read yet: leave it out`, path);
    }
    const conversion = conversionOf(leaf, column.type);
    if (conversion === null) {
      throw new MillraceError('schema/mismatch', mismatchMessage(leaf, column.type), { where: { path } });
    }
    for (const group of metadata.rowGroups) {
      const chunk = group.columns[leaf.index] as (typeof group.columns)[number];
      if (chunk.elsewhere !== null) throw unsupported(`column ${column.name} cannot be read: ${chunk.elsewhere}`, path);
      if (!isCodecKnown(chunk.codec)) {
        const codec = codecNames[chunk.codec] ?? `codec ${chunk.codec}`;
        throw unsupported(`column ${column.name} is compressed with ${codec}, which cannot be read`, path);
      }
    }
    return { leaf, conversion };
  });
}
