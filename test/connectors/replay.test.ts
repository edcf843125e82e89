/** A replayable source gives, from every position, exactly what it has not given yet. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Table, vectorFromArray } from 'apache-arrow';
import { afterAll, expect, test } from 'vitest';
import { prepareArrowTable } from '../../connectors/arrow/share.ts';
import { sourceConnector } from '../../connectors/registry.ts';
import { describedCollection } from '../../connectors/rows/collection.ts';
import {
  type ConnectorSpec,
  type Json,
  PollStatus,
  type SourceReader,
  type Split,
} from '../../core/ports/connector.ts';
import { layoutOf } from '../../core/record/layout.ts';
import { testSlot } from '../support/slot.ts';
import { readerContext, rowsOf, specOf, type Value } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-replay-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Place {
  readonly spec: ConnectorSpec;
  readonly resources?: Readonly<Record<string, unknown>>;
}

const rows = Array.from({ length: 300 }, (_, id) => ({ id, word: `word number ${id}` }));
const file = join(root, 'rows.jsonl');
writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
const separated = join(root, 'rows.csv');
writeFileSync(separated, ['id,word', ...rows.map(({ id, word }) => `${id},"${word}\n"`)].join('\n'));
const table = new Table({ id: vectorFromArray(rows.map(({ id }) => id)) });
const generated = {
  columns: [{ kind: 'sequence', name: 'n', from: 0, step: 1, type: 'BIGINT' }],
  rows: 300,
  seed: 7,
};

const places: Readonly<Record<string, () => Promise<Place>>> = {
  jsonl: async () => ({ spec: specOf('jsonl', { path: file }) }),
  csv: async () => ({ spec: specOf('csv', { path: separated }) }),
  'a pattern of parquet files': async () => ({
    spec: specOf('parquet', {
      path: new URL('../fixtures/parquet/plain-small-pages-v1.parquet', import.meta.url).pathname,
    }),
  }),
  collection: async () => ({
    spec: describedCollection(specOf('collection', { resource: 'r' }), rows),
    resources: { r: rows },
  }),
  arrow: async () => ({
    spec: specOf('arrow', { resource: 'r' }),
    resources: { r: prepareArrowTable(table) },
  }),
  generator: async () => ({ spec: specOf('generator', generated) }),
};

for (const [name, place] of Object.entries(places)) {
  test(name, async () => {
    const { spec, resources } = await place();
    const connector = await sourceConnector(spec.kind);
    const resource = (id: string): unknown => resources?.[id];
    const info = await connector.describe(spec, resource);
    const layout = layoutOf(info.fields);
    const request = { layout, prune: [], timeColumn: null };
    const splits = await connector.enumerate(spec, request, 2, resource);
    const slot = testSlot({ bytes: 64 * 1024 * 1024 });
    const again = testSlot({ bytes: 64 * 1024 * 1024 });
    const first = connector.reader(spec, request, readerContext(slot, 7, resources));
    // Another slot, other batches.
    const second = connector.reader(spec, request, readerContext(again, 64, resources));
    let positions = 0;
    for (const split of splits) {
      const all = readOn(first, slot, split, null).flatMap((one) => one.rows);
      let given = 0;
      for (const { rows: more, position } of readOn(first, slot, split, null)) {
        given += more.length;
        positions++;
        const rest = readOn(second, again, split, position).flatMap((one) => one.rows);
        expect(rest, `split ${split.id} from ${JSON.stringify(position)}`).toEqual(all.slice(given));
      }
      expect(given).toBe(all.length);
    }
    expect(positions).toBeGreaterThan(20);
    first.close();
    second.close();
  });
}

/** Batches with the position behind each, as a checkpoint would keep it. */
function readOn(
  reader: SourceReader,
  slot: ReturnType<typeof testSlot>,
  split: Split,
  position: Json,
): { readonly rows: Value[][]; readonly position: Json }[] {
  reader.open({ ...split, position: position ?? split.position });
  const batches: { rows: Value[][]; position: Json }[] = [];
  for (;;) {
    const status = reader.poll();
    if (status === PollStatus.ended) break;
    if (status === PollStatus.starved) throw new Error('a bounded source is starved');
    const read = rowsOf(reader.batch, slot.memory);
    if (read.length > 0) batches.push({ rows: read, position: JSON.parse(JSON.stringify(reader.position())) as Json });
  }
  return batches;
}
