/** `until-caught.ts FROM COUNT`: runs seeds until one finds something wrong, and prints which and what, as JSON; else null. */
import { live, noCoverage } from './world.ts';

const [from = 1, count = 100] = process.argv.slice(2).map(Number);
let caught: { seed: number; what: string } | null = null;
for (let seed = from; seed < from + count && caught === null; seed++) {
  try {
    await live(seed, noCoverage());
  } catch (error) {
    caught = { seed, what: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}
console.log(JSON.stringify(caught));
process.exit(0);
