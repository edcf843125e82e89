/**
 * `seeds.js FROM COUNT`: lives seeds one after another; every hundredth twice, which must be the same. Prints failures and
 * coverage as JSON in the end. A process of its own, see bundle.ts.
 */
import { live, noCoverage } from './world.ts';

const [from = 1, count = 100] = process.argv.slice(2).map(Number);
const failures: string[] = [];
const coverage = noCoverage();
let lived = 0;
for (let seed = from; seed < from + count && failures.length < 20; seed++) {
  try {
    const life = await live(seed, coverage);
    if (seed % 100 === 0) {
      const again = await live(seed, noCoverage());
      coverage['run twice']!++;
      if (JSON.stringify(life) !== JSON.stringify(again))
        failures.push(`seed ${seed}: two runs differ: ${JSON.stringify(life)} and ${JSON.stringify(again)}`);
    }
  } catch (error) {
    failures.push(`seed ${seed}: ${error instanceof Error ? error.stack?.slice(0, 1500) : error}`);
    console.error(`simulate: ${failures.at(-1)}`);
  }
  lived++;
  if (lived % 500 === 0) console.error(`simulate: ${lived} of ${count} from ${from}, ${failures.length} failures`);
  // What a kill leaves of a long run.
  if (lived % 5000 === 0) console.error(`simulate: so far ${JSON.stringify(coverage)}`);
}
console.log(JSON.stringify({ lived, failures, coverage }));
process.exit(0);
