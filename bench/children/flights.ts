/** `flights.js ENGINE SLOTS run|rows`: the flights query once in a process of its own; rows as JSON if they are wanted. */

import type { EngineName } from '../harness.ts';
import { flightsEngine } from '../rivals/flights.ts';

const [name, slots, what] = process.argv.slice(2);
const engine = await flightsEngine(name as EngineName, Number(slots));
const result = await engine.run();
if (what === 'rows') {
  const rows = await engine.rows(result);
  process.stdout.write(JSON.stringify(rows, (_, cell) => (typeof cell === 'bigint' ? Number(cell) : cell)));
}
