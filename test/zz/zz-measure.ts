// measure: write/read throughput, bytes when little changed
import { mkdtempSync, rmSync } from 'node:fs';
import { prng } from '../../core/base/prng.ts';
import { realDisk } from '../../engine/disk.ts';
import { openState } from '../../engine/state-directory.ts';
import { house, partsOf } from '../checkpoint/house.ts';
import { contentOf } from '../checkpoint/support.ts';

const dir = mkdtempSync(process.argv[2] ?? '/tmp/h3m-');
const keys = Number(process.argv[3] ?? 20_000_000);
const state = openState(dir + '/s');
const mb = Math.ceil((keys * 32) / 0.45 / 2 ** 20) + 64;
const h = house({ keys: 'i64', texts: false, mb, directory: { disk: realDisk, state, participant: 0 } });
let t = performance.now();
const chunk: number[] = [];
const feed = (from: number, to: number) => {
  for (let i = from; i < to; i += 1024) h.add(Array.from({ length: Math.min(1024, to - i) }, (_, k) => i + k));
};
feed(0, keys);
console.log('filled', ((performance.now() - t) / 1000).toFixed(1), 's; pages', h.pool.total - h.pool.free);
let committed = 0,
  id = 0;
async function checkpoint(label: string) {
  id++;
  const t0 = performance.now();
  const { file, snapshot } = h.begin(id, committed);
  const t1 = performance.now();
  let longest = 0,
    steps = 0;
  for (;;) {
    const s = performance.now();
    const done = snapshot.read(64);
    longest = Math.max(longest, performance.now() - s);
    steps++;
    if (done) break;
    await new Promise((r) => setImmediate(r));
  }
  const t2 = performance.now();
  const part = await file.finish();
  const t3 = performance.now();
  state.commit({ ...contentOf(id, part.files), parts: [{ participant: 0, file: part.file }] });
  state.clean(2);
  const t4 = performance.now();
  committed = id;
  console.log(
    label,
    (part.bytes / 2 ** 20).toFixed(1),
    'MB; freeze',
    (t1 - t0).toFixed(1),
    'ms; read+write',
    (t2 - t1).toFixed(0),
    'ms =',
    (part.bytes / 1e6 / (t2 - t1)).toFixed(2),
    'GB/s; longest step',
    longest.toFixed(1),
    'ms of',
    steps,
    '; finish',
    (t3 - t2).toFixed(0),
    'ms; commit',
    (t4 - t3).toFixed(1),
  );
  return part.bytes;
}
const full = await checkpoint('full');
const random = prng(5);
// 1 % of pages: keys of some pages only. By hash order: take 1% of key groups... approximated by scanning pages
{
  const c = { at: 0 };
  let n = 0;
  while (n < keys / 100) {
    const some = h.keysFrom(c);
    if (some.length === 0) break;
    n += some.length;
    h.add(some);
  }
}
const pages = await checkpoint('1% pages');
console.log('   share', ((100 * pages) / full).toFixed(2), '%');
for (let r = 0; r < Number(process.argv[4] ?? 3); r++) {
  for (let i = 0; i < keys / 100; i += 1000) h.add(Array.from({ length: 1000 }, () => random.below(keys)));
  const b = await checkpoint('1% keys');
  console.log('   share', ((100 * b) / full).toFixed(2), '%');
}
await checkpoint('nothing');
t = performance.now();
const latest = state.latest();
const t1 = performance.now();
console.log(
  'verify',
  (t1 - t).toFixed(0),
  'ms',
  (latest.manifest!.files.reduce((a, f) => a + f.bytes, 0) / 1e6 / (t1 - t)).toFixed(2),
  'GB/s',
);
const parts = partsOf(realDisk, state, latest.manifest!);
t = performance.now();
const r = house({ keys: 'i64', texts: false, mb, restored: parts });
console.log(
  'restore',
  (performance.now() - t).toFixed(0),
  'ms',
  (latest.manifest!.files.reduce((a, f) => a + f.bytes, 0) / 1e6 / (performance.now() - t)).toFixed(2),
  'GB/s; size',
  r.table.size,
);
state.close();
rmSync(dir, { recursive: true });
