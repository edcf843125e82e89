// Damages files at random and reads them, in a process that may die of it. Arguments: a Parquet file, a JSON-lines file,
// a directory to write into, cases, seed. Prints one object: what became of the jobs, and whether the last one was right.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { collect, collection, from, jsonl, MillraceError, parquet } from 'millrace';

const [parquetPath, jsonlPath, directory, caseCount, seedText] = process.argv.slice(2);
let state = Number(seedText);
/** Mulberry32. */
function random(below) {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
}
const goods = { parquet: readFileSync(parquetPath), jsonl: readFileSync(jsonlPath) };
const codes = {};
let failed = 0;
for (let i = 0; i < Number(caseCount); i++) {
  const kind = i % 2 === 0 ? 'parquet' : 'jsonl';
  const bytes = Buffer.from(goods[kind]);
  const path = join(directory, `damage-${i}.${kind}`);
  const flips = 1 + random(8);
  for (let k = 0; k < flips; k++) {
    // Half of them where the structure is: at the end.
    const at = random(2) === 0 ? bytes.length - 1 - random(Math.min(bytes.length, 400)) : random(bytes.length);
    bytes[at] ^= 1 << random(8);
  }
  writeFileSync(path, random(4) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes);
  try {
    await collect(from(kind === 'parquet' ? parquet(path) : jsonl(path)).limit(1000), { parallelism: 1 });
    await collect(
      from(kind === 'parquet' ? parquet(path) : jsonl(path)).filter((row) => row.n.lt(0)),
      { parallelism: 1 },
    );
  } catch (error) {
    failed++;
    const code = error instanceof MillraceError ? error.code : `not ours: ${error?.stack}`;
    codes[code] = (codes[code] ?? 0) + 1;
  }
}
const after = await collect(from(collection([{ a: 1 }])), { parallelism: 1 });
console.log(
  JSON.stringify({ seed: Number(seedText), cases: Number(caseCount), failed, codes, healthy: after[0]?.a === 1 }),
);
